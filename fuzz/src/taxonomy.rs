//! What error-taxonomy reads.

use backstop_error_taxonomy::Error;

/// Longer than any error that keeps to its limits.
const STORY_BYTES_MAX: usize = 64 * 1_024;

/// An error as JSON.
///
/// 1. Any bytes are an error or refused.
/// 2. What was read is written, and what is written reads back as the same.
/// 3. Its texts are bounded, and one line is one line.
///
/// # Panics
///
/// Where one of these does not hold.
pub fn error_json(bytes: &[u8]) {
    let Ok(error) = serde_json::from_slice::<Error>(bytes) else { return };
    let (line, story) = (error.to_string(), format!("{error:?}"));
    assert!(!line.contains(char::is_control), "one line: {line:?}");
    assert!(story.len() < STORY_BYTES_MAX, "{} bytes of story", story.len());

    let written = serde_json::to_string(&error).expect("an error can be written");
    let back: Error = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(format!("{back:?}"), story);
    assert_eq!(back.fingerprint(), error.fingerprint());
    assert_eq!(serde_json::to_string(&back).expect("written again"), written);
}
