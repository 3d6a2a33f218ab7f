//! Which refusals of certificates their owners were told of lately.
//!
//! Invariant: memory is bounded, whatever comes. Where all of it is taken by what was told
//! within the minute, further refusals are in the log alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::identity::network_of;
use parking_lot::Mutex;

/// How long one stays told.
const PAUSE: Duration = Duration::from_mins(1);

/// Most that are remembered.
const MAX_TOLD: usize = 1000;

/// By serial number and network, when it was told.
#[derive(Debug, Default)]
pub(super) struct News(Mutex<HashMap<(u64, IpAddr), Instant>>);

impl News {
    /// Tells whether a refusal is worth to be told of, and takes it for told.
    pub(super) fn is_news(&self, serial: u64, client: IpAddr) -> bool {
        let mut told = self.0.lock();
        told.retain(|_, at| at.elapsed() < PAUSE);
        let key = (serial, network_of(client));
        if told.contains_key(&key) || told.len() >= MAX_TOLD {
            return false;
        }
        told.insert(key, Instant::now());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_once_a_minute_for_each_certificate_and_address() {
        let news = News::default();
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!(news.is_news(1, here) && news.is_news(2, here) && news.is_news(1, there));
        assert!(!news.is_news(1, here));
        let before = Instant::now().checked_sub(PAUSE).unwrap();
        for at in news.0.lock().values_mut() {
            *at = before;
        }
        assert!(news.is_news(1, here));
        for serial in (0..).take(2 * MAX_TOLD) {
            news.is_news(serial, here);
        }
        assert_eq!(news.0.lock().len(), MAX_TOLD);
    }
}
