//! What the operator sets of the appliance as a whole, over the API (`system_config`).

use super::field::{given, number};
use super::limits;
use super::refusal::Refusal;

/// The settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemConfig {
    /// How often traffic figures are put on disk, in minutes.
    pub traffic_statistics_frequency: u32,
    /// How many whole months of traffic figures are kept besides the present one.
    pub traffic_statistics_history: u32,
    /// Seconds since its last handshake within which a peer counts as online.
    pub wireguard_handshake_uptime: u32,
}

impl Default for SystemConfig {
    fn default() -> Self {
        Self {
            traffic_statistics_frequency: limits::TRAFFIC_FREQUENCY_DEFAULT,
            traffic_statistics_history: limits::TRAFFIC_HISTORY_DEFAULT,
            wireguard_handshake_uptime: limits::HANDSHAKE_UPTIME_DEFAULT,
        }
    }
}

/// What somebody asks of the settings: the contract's form as it came. An absent or blank field keeps what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemConfigDraft {
    /// 1 to 1440 minutes.
    pub traffic_statistics_frequency: Option<String>,
    /// 0 to 2147483647 months.
    pub traffic_statistics_history: Option<String>,
    /// 1 to 300 seconds.
    pub wireguard_handshake_uptime: Option<String>,
}

impl SystemConfigDraft {
    /// `current` with what the draft names.
    ///
    /// # Errors
    /// The contract's refusal of the first field that cannot be.
    pub fn amend(&self, current: &SystemConfig) -> Result<SystemConfig, Refusal> {
        let one = |field: &Option<String>, current, range: std::ops::RangeInclusive<u32>, refusal| {
            let Some(text) = given(field.as_ref()) else { return Ok(current) };
            number(text).filter(|number| range.contains(number)).ok_or(refusal)
        };
        Ok(SystemConfig {
            traffic_statistics_frequency: one(
                &self.traffic_statistics_frequency,
                current.traffic_statistics_frequency,
                limits::TRAFFIC_FREQUENCY,
                Refusal::TrafficFrequencyMalformed,
            )?,
            traffic_statistics_history: one(
                &self.traffic_statistics_history,
                current.traffic_statistics_history,
                limits::TRAFFIC_HISTORY,
                Refusal::TrafficHistoryMalformed,
            )?,
            wireguard_handshake_uptime: one(
                &self.wireguard_handshake_uptime,
                current.wireguard_handshake_uptime,
                limits::HANDSHAKE_UPTIME,
                Refusal::HandshakeUptimeMalformed,
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(field: usize, text: &str) -> SystemConfigDraft {
        let mut fields: [Option<String>; 3] = [None, None, None];
        fields[field] = Some(text.into());
        let [traffic_statistics_frequency, traffic_statistics_history, wireguard_handshake_uptime] = fields;
        SystemConfigDraft { traffic_statistics_frequency, traffic_statistics_history, wireguard_handshake_uptime }
    }

    #[test]
    fn takes_the_bounds_and_nothing_beyond() {
        for (field, low, high, beyond, refusal) in [
            (0, "1", "1440", ["0", "1441", "x"], Refusal::TrafficFrequencyMalformed),
            (1, "0", "2147483647", ["-1", "2147483648", "1.5"], Refusal::TrafficHistoryMalformed),
            (2, "1", "300", ["0", "301", "+1"], Refusal::HandshakeUptimeMalformed),
        ] {
            for text in [low, high] {
                assert!(draft(field, text).amend(&SystemConfig::default()).is_ok(), "{text}");
            }
            for text in beyond {
                assert_eq!(draft(field, text).amend(&SystemConfig::default()), Err(refusal.clone()), "{text}");
            }
        }
    }

    #[test]
    fn keeps_what_the_draft_does_not_name() {
        let edited = draft(2, "60").amend(&SystemConfig::default()).unwrap();

        assert_eq!(edited, SystemConfig { wireguard_handshake_uptime: 60, ..SystemConfig::default() });
        assert_eq!(draft(0, " ").amend(&edited), Ok(edited));
    }
}
