//! `account_traffic_statistics`, and the same by the hour.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Named;
use crate::domain::access::Caller;
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::domain::traffic::{DayTraffic, HourTraffic};
use crate::http::envelope::{Answer, Success};
use crate::http::openapi::field::{Field, number};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;

/// What an account moved on every day of a month.
pub(crate) async fn month(
    State(services): State<Services>,
    caller: Caller,
    Named((name, year, month)): Named<(String, String, String)>,
) -> Answer<Vec<DayView>> {
    let (account, days) = services.traffic.month(&caller, &name, &year, &month).await?;
    let view = |day: DayTraffic| DayView {
        account: account.to_string(),
        date: day.day.to_string(),
        traffic_download: day.bytes.down,
        traffic_upload: day.bytes.up,
    };
    Ok(Success(days.into_iter().map(view).collect()))
}

/// What an account moved in every hour of a day. Wholly beyond the contract.
pub(crate) async fn day(
    State(services): State<Services>,
    caller: Caller,
    Named((name, year, month, day)): Named<(String, String, String, String)>,
) -> Answer<Vec<HourView>> {
    let (account, hours) = services.traffic.day(&caller, &name, [&year, &month, &day]).await?;
    let view = |hour: HourTraffic| HourView {
        account: account.to_string(),
        hour: services.system.local_time(hour.start),
        traffic_download: hour.bytes.down,
        traffic_upload: hour.bytes.up,
    };
    Ok(Success(hours.into_iter().map(view).collect()))
}

/// A day, in bytes.
#[derive(Serialize, ToSchema)]
#[schema(as = TrafficOfDay)]
pub(crate) struct DayView {
    account: String,
    date: String,
    traffic_download: u64,
    traffic_upload: u64,
}

/// An hour, in bytes.
#[derive(Serialize, ToSchema)]
#[schema(as = TrafficOfHour)]
pub(crate) struct HourView {
    account: String,
    /// When it began (RFC 3339), with the offset of the appliance's time zone.
    hour: String,
    traffic_download: u64,
    traffic_upload: u64,
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let year = || number("year", limits::YEARS, "The year.").such_as("2026");
    let month = || number("month", 1..=12, "The month.").such_as("11");
    let day = || -> Field { number("day", 1..=31, "The day of the month.").such_as("26") };
    Group {
        name: "Traffic",
        about: "What accounts have moved, in bytes, by the clock of the appliance's time zone.",
        named: ("The account's name.", "peer_1"),
        operations: vec![
            Operation::new("account_traffic_statistics", "Shows every day of a month", Shape::list_of::<DayView>())
                .at([year(), month()])
                .refuses([Refusal::AccountNotFound, Refusal::YearMalformed, Refusal::MonthMalformed]),
            Operation::new("account_traffic_hourly", "Shows every hour of a day", Shape::list_of::<HourView>())
                .at([year(), month(), day()])
                .refuses([
                    Refusal::AccountNotFound,
                    Refusal::YearMalformed,
                    Refusal::MonthMalformed,
                    Refusal::DayMalformed,
                ]),
        ],
    }
}
