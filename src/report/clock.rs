//! UTC time stamps without a calendar library.

use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: i64 = 86_400;

/// The present, in seconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// `time` as `YYYY-MM-DD HH:MM:SS.mmm` in UTC, the form of upstream's
/// `outfilter.py`. Milliseconds are cut, not rounded.
pub fn utc_stamp(time: SystemTime) -> String {
    let millis = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |m| -m),
    };
    let seconds = millis.div_euclid(1000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{:03}",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        millis.rem_euclid(1000),
    )
}

/// `time` as `YYYY-MM-DDTHH:MM:SSZ` (RFC 3339).
pub fn rfc3339(time: SystemTime) -> String {
    let stamp = utc_stamp(time);
    let seconds = stamp.split('.').next().unwrap_or_default();
    format!("{}Z", seconds.replacen(' ', "T", 1))
}

/// Year, month and day of the proleptic Gregorian calendar for a number of
/// days since 1970-01-01. Years are counted from 1 March, so that the leap day
/// is the last day of a year and 400 years (146097 days) are one period.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    #[test]
    fn known_instants() {
        let cases = [
            (0, "1970-01-01 00:00:00.000"),
            (951_782_399_999, "2000-02-28 23:59:59.999"),
            (951_782_400_000, "2000-02-29 00:00:00.000"),
            (1_709_164_800_001, "2024-02-29 00:00:00.001"),
            (4_107_542_400_000, "2100-03-01 00:00:00.000"),
        ];
        for (millis, expected) in cases {
            assert_eq!(
                utc_stamp(UNIX_EPOCH + Duration::from_millis(millis)),
                expected
            );
        }
        let instant = UNIX_EPOCH + Duration::from_millis(951_782_399_999);
        assert_eq!(rfc3339(instant), "2000-02-28T23:59:59Z");
        assert_eq!(
            utc_stamp(UNIX_EPOCH - Duration::from_millis(1)),
            "1969-12-31 23:59:59.999"
        );
    }

    #[test]
    fn agrees_with_date() {
        // Steps of 13 days, 7 hours and some: 2000 instants, through 2041.
        let instants: Vec<u64> = (0..2000).map(|n| n * 1_148_461).collect();
        let mut date = Command::new("date")
            .args(["-u", "-f", "-", "+%Y-%m-%d %H:%M:%S.%3N"])
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input: String = instants.iter().map(|s| format!("@{s}.042\n")).collect();
        let mut stdin = date.stdin.take().unwrap();
        let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = date.wait_with_output().unwrap();
        feeder.join().unwrap().unwrap();
        let lines: Vec<_> = std::str::from_utf8(&output.stdout)
            .unwrap()
            .lines()
            .collect();
        assert_eq!(lines.len(), instants.len());
        for (seconds, expected) in instants.iter().zip(lines) {
            let time = UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 42);
            assert_eq!(utc_stamp(time), expected);
        }
    }
}
