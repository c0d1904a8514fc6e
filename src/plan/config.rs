//! The configuration of an image: OCI image-spec `config.md`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::package::Platform;

/// What an image says besides its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Seconds since 1970.
    pub created: i64,
    /// `NAME=value`, sorted by name, `PATH` first.
    pub env: Vec<(String, String)>,
    /// The program.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments.
    pub cmd: Option<Vec<String>>,
    /// A user, or a user and a group.
    pub user: Option<String>,
    /// Where processes start.
    pub workdir: Option<String>,
    /// By name.
    pub labels: BTreeMap<String, String>,
    /// Ports with their protocol.
    pub expose: Vec<String>,
    /// Paths.
    pub volumes: Vec<String>,
    /// A name or a number.
    pub stop_signal: Option<String>,
}

#[derive(Serialize)]
struct Json<'c> {
    created: String,
    architecture: &'c str,
    os: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'c str>,
    config: Process<'c>,
    rootfs: RootFs,
    history: Vec<History<'c>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Process<'c> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'c str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: BTreeMap<&'c str, Empty>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint: Option<&'c [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<&'c [String]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    volumes: BTreeMap<&'c str, Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<&'c str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'c BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<&'c str>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct RootFs {
    r#type: &'static str,
    diff_ids: [&'static str; 0],
}

#[derive(Serialize)]
struct History<'c> {
    created: String,
    created_by: &'c str,
}

impl ImageConfig {
    /// The configuration as JSON, for a platform; `layers` become the history, so that an exporter
    /// has no reason to write its own with the time of day in it.
    pub fn to_json(&self, platform: &Platform, layers: &[String]) -> Vec<u8> {
        let created = rfc3339(self.created);
        let history = layers.iter().map(|l| History { created: created.clone(), created_by: l });
        let json = Json {
            created: created.clone(),
            architecture: platform.architecture(),
            os: platform.os(),
            variant: platform.variant(),
            config: Process {
                user: self.user.as_deref(),
                exposed_ports: self.expose.iter().map(|p| (p.as_str(), Empty {})).collect(),
                env: self.env.iter().map(|(k, v)| format!("{k}={v}")).collect(),
                entrypoint: self.entrypoint.as_deref(),
                cmd: self.cmd.as_deref(),
                volumes: self.volumes.iter().map(|v| (v.as_str(), Empty {})).collect(),
                working_dir: self.workdir.as_deref(),
                labels: &self.labels,
                stop_signal: self.stop_signal.as_deref(),
            },
            rootfs: RootFs { r#type: "layers", diff_ids: [] },
            history: history.collect(),
        };
        serde_json::to_vec(&json).expect("strings and numbers become JSON")
    }
}

/// Seconds since 1970 as RFC 3339 in UTC (Howard Hinnant's `civil_from_days`).
fn rfc3339(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_date_prints() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_700_000_001), "2023-11-14T22:13:21Z");
    }
}
