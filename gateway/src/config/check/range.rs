//! Values that are too small or too large.

use std::fmt::Display;
use std::time::Duration;

use super::Finding;
use crate::config::{Period, Size};

/// Checks a length of time, the bounds in seconds.
pub(super) fn within(value: Period, least: u64, most: u64) -> Result<(), String> {
    if (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&value.get()) {
        return Ok(());
    }
    let (least, most) = (Period::seconds(least), Period::seconds(most));
    Err(range(value, least, most))
}

pub(super) fn period(
    key: &'static str,
    value: Period,
    least: u64,
    most: u64,
) -> Result<(), Finding> {
    within(value, least, most).map_err(|problem| (key, problem))
}

pub(super) fn size(key: &'static str, value: Size, least: Size, most: Size) -> Result<(), Finding> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    out_of_range(key, value, least, most)
}

pub(super) fn count(key: &'static str, value: u32, most: u32) -> Result<(), Finding> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    out_of_range(key, value, 1, most)
}

pub(super) fn out_of_range<T: Display>(
    key: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<(), Finding> {
    Err((key, range(value, least, most)))
}

fn range<T: Display>(value: T, least: T, most: T) -> String {
    format!("{value} is out of range: {least} to {most} are allowed")
}
