//! The report of a build, from what the driver knows of it.

use crate::elements::Hook;
use crate::error::Explain;
use crate::plan::{ApplianceKind, Plan, Step};
use crate::protocol::Failure;
use crate::request::BuildRequest;

use super::build_report::{
    ApplianceFacts, BuildReport, ElementFacts, Event, EventKind, ImageFacts, LayerFacts, Outcome,
    OutputFacts, State, VERSION,
};
use super::clock::rfc3339;
use super::failure::BuildFailure;
use super::record::{Record, Span, Work};
use super::tidy;

/// What a report is made of.
pub struct Parts<'a> {
    /// What was asked for.
    pub request: &'a BuildRequest,
    /// What was planned, if the build came that far.
    pub plan: Option<&'a Plan>,
    /// What happened.
    pub record: &'a Record,
    /// How it ended.
    pub outcome: Outcome,
    /// What it has left.
    pub outputs: Vec<OutputFacts>,
    /// The layer that it began with.
    pub layer: Option<LayerFacts>,
    /// What the log warned of.
    pub warnings: &'a [String],
}

impl BuildReport {
    /// Makes the report. Names and texts that hooks had a say in are fit to be shown.
    pub fn of(parts: Parts) -> BuildReport {
        let plan = parts.plan;
        let mut report = BuildReport {
            version: VERSION,
            generator: concat!("safedib ", env!("CARGO_PKG_VERSION")).to_owned(),
            image: image(parts.request, parts.record),
            appliances: plan
                .map(|plan| appliances(plan, parts.record))
                .unwrap_or_default(),
            elements: plan.map(elements).unwrap_or_default(),
            timeline: timeline(plan, parts.record),
            warnings: parts.warnings.to_vec(),
            content: parts.record.inventory().cloned(),
            outcome: parts.outcome,
            outputs: parts.outputs,
            layer: parts.layer,
            difference: None,
        };
        tidy::report(&mut report);
        report
    }
}

impl Outcome {
    /// That of a build which has left all that it was asked for.
    pub fn built() -> Outcome {
        Outcome {
            state: State::Built,
            ..Outcome::default()
        }
    }

    /// That of a failure inside the appliance.
    pub fn of_failure(failure: &BuildFailure) -> Outcome {
        let mut outcome = Outcome {
            hint: failure.hint(),
            ..Outcome::default()
        };
        let mut message = match failure.failure() {
            Failure::Hook {
                phase,
                hook,
                status,
                tail,
            } => {
                outcome.phase = Some(phase.name().to_owned());
                outcome.hook = hook.clone();
                outcome.element = failure.element().map(str::to_owned);
                outcome.status = Some(*status);
                outcome.tail = tail.clone();
                // What follows is told by these.
                let text = failure.to_string();
                text.lines().next().unwrap_or_default().to_owned()
            }
            Failure::Step { message, .. } => message.clone(),
        };
        if let Some(trouble) = failure.trouble() {
            message.push('\n');
            message.push_str(trouble);
        }
        outcome.message = Some(message);
        outcome
    }

    /// That of any other error.
    pub fn of_error(error: &dyn Explain, state: State) -> Outcome {
        Outcome {
            state,
            message: Some(crate::error::reason(error)),
            hint: error.hint(),
            ..Outcome::default()
        }
    }
}

fn image(request: &BuildRequest, record: &Record) -> ImageFacts {
    let program = &request.program;
    let words = &request.dib_args;
    ImageFacts {
        name: request.image_name.clone(),
        arch: request.arch.clone(),
        command: match words.split(' ').next() == Some(program) {
            true => words.clone(),
            false => format!("{program} {words}"),
        },
        requested: request.elements.clone(),
        generation: request.generation.generation.to_string(),
        began: rfc3339(record.began_at()),
        seconds: record.now(),
        epoch: request.source_date_epoch,
    }
}

fn elements(plan: &Plan) -> Vec<ElementFacts> {
    let askers = |name: &str| plan.elements.requested_by.get(name).cloned();
    let elements = plan.elements.elements.iter();
    elements
        .map(|element| ElementFacts {
            name: element.name.clone(),
            path: element.path.display().to_string(),
            asked_by: askers(&element.name).unwrap_or_default(),
        })
        .collect()
}

/// An appliance's name in words and files.
pub fn appliance_name(kind: ApplianceKind) -> &'static str {
    match kind {
        ApplianceKind::Microvm => "microvm",
        ApplianceKind::Namespace => "namespace",
    }
}

fn appliances(plan: &Plan, record: &Record) -> Vec<ApplianceFacts> {
    let reached = |first: usize| record.stages().iter().find(|stage| stage.first == first);
    let stages = plan.stages().into_iter();
    stages
        .map(|stage| {
            let span = reached(stage.steps.start);
            ApplianceFacts {
                kind: appliance_name(stage.kind).to_owned(),
                why: stage.why.to_owned(),
                steps: (stage.steps.start + 1, stage.steps.end),
                seconds: span.map_or(0.0, |span| span.seconds),
                notes: span.map(|span| span.notes.clone()).unwrap_or_default(),
            }
        })
        .collect()
}

fn timeline(plan: Option<&Plan>, record: &Record) -> Vec<Event> {
    let mut spans: Vec<&Span> = record.spans().iter().collect();
    spans.sort_by(|a, b| a.start.total_cmp(&b.start));
    spans.into_iter().map(|span| event(plan, span)).collect()
}

fn event(plan: Option<&Plan>, span: &Span) -> Event {
    let step = |index: usize| Some(&plan?.steps.get(index)?.step);
    let words = |index| step(index).map(ToString::to_string).unwrap_or_default();
    let mut event = Event {
        start: span.start,
        seconds: span.seconds,
        ended: span.ended,
        ..Event::default()
    };
    (event.kind, event.name) = match &span.work {
        Work::Step(index) => {
            if let Some(Step::RunHooks { phase }) = step(*index) {
                event.phase = Some(phase.name().to_owned());
            }
            (EventKind::Step, words(*index))
        }
        Work::Beside(index) => (EventKind::Beside, words(*index)),
        Work::Hook { phase, name } => {
            let hooks = plan.map(|plan| plan.hooks.as_slice()).unwrap_or_default();
            let known = |hook: &&Hook| hook.phase == *phase && hook.name == *name;
            event.element = hooks.iter().find(known).map(|hook| hook.element.clone());
            event.phase = Some(phase.name().to_owned());
            (EventKind::Hook, name.clone())
        }
        Work::Layer => (EventKind::Own, "keep a layer".to_owned()),
        Work::Own(what) => (EventKind::Own, what.clone()),
    };
    event
}
