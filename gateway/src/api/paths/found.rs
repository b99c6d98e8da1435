//! What the rules of conversations found, and refusals that are none to the vendor.

use sluice_protocol::ErrorCode;

use crate::api::call::Call;
use crate::api::failure::{Code, Failure};
use crate::conversation::{Command, Found, Order};

impl Call {
    /// Asks what only the app's server asks.
    pub(super) async fn ask(&self, order: Order) -> Result<Found, Failure> {
        Ok(self.converse(Command::Server(Box::new(order))).await?.found)
    }

    /// Decides what only the app's server decides.
    pub(super) async fn decide(&self, order: Order) -> Result<(), Failure> {
        self.converse(Command::Server(Box::new(order))).await?;
        Ok(())
    }
}

/// The vendor makes no error of it when there is no such conversation.
pub(super) fn is_nothing_there(failure: &Failure) -> bool {
    [ErrorCode::CONVERSATION_UNKNOWN, ErrorCode::CONVERSATION_EXPIRED]
        .iter()
        .any(|code| failure.code == Code(code.number()))
}

pub(super) fn names(found: Found) -> Result<Vec<String>, Failure> {
    match found {
        Found::Names(names) => Ok(names),
        _ => Err(unexpected()),
    }
}

pub(super) fn entries(found: Found) -> Result<Vec<(String, i64)>, Failure> {
    match found {
        Found::Entries(entries) => Ok(entries),
        _ => Err(unexpected()),
    }
}

pub(super) fn flags(found: Found) -> Result<Vec<bool>, Failure> {
    match found {
        Found::Flags(flags) => Ok(flags),
        _ => Err(unexpected()),
    }
}

/// A question that was answered with something else than was asked.
pub(super) fn unexpected() -> Failure {
    tracing::error!("the rules of conversations gave another answer than was asked for");
    Failure::new(Code::INTERNAL, "a fault of the gateway")
}
