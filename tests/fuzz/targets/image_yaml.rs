//! Image definitions, from the text to the command lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safedib::request::{image_yaml, Environment};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match image_yaml::read_text("images.yaml", text) {
        Ok(entries) => {
            for image in image_yaml::images(entries) {
                let _ = image.environment(&Environment::default());
                let _ = image.to_string();
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
