//! Errors of rdkafka.

use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};

use crate::codes::again;
use crate::drivers::{KafkaClient, KafkaTransaction, librdkafka};
use crate::{Class, Classify, Kind, Transience};

impl Classify for KafkaError {
    fn class(&self) -> Class {
        match self {
            Self::Canceled => KafkaClient::Canceled.class(),
            Self::ClientConfig(..) | Self::ClientCreation(_) => KafkaClient::ClientConfig.class(),
            // The client itself has failed, whatever the code.
            Self::MessageConsumptionFatal(_) => KafkaTransaction::Fatal.class(),
            Self::Transaction(error) => error.class(),
            Self::AdminOp(code)
            | Self::ConsumerCommit(code)
            | Self::ConsumerQueueClose(code)
            | Self::Flush(code)
            | Self::Global(code)
            | Self::GroupListFetch(code)
            | Self::MessageConsumption(code)
            | Self::MessageProduction(code)
            | Self::MetadataFetch(code)
            | Self::MockCluster(code)
            | Self::OffsetFetch(code)
            | Self::Rebalance(code)
            | Self::SetPartitionOffset(code)
            | Self::StoreOffset(code) => code.class(),
            Self::NoMessageReceived | Self::PartitionEOF(_) => nothing_yet(),
            Self::Nul(_) => Class::of(Kind::Invalid),
            // These have a text and no code.
            _ => Class::of(Kind::Other),
        }
    }
}

impl Classify for RDKafkaErrorCode {
    fn class(&self) -> Class {
        librdkafka(*self as i32).unwrap_or(nothing_yet())
    }
}

/// What a transactional call asks for goes before its code.
impl Classify for RDKafkaError {
    fn class(&self) -> Class {
        if self.is_fatal() {
            KafkaTransaction::Fatal.class()
        } else if self.txn_requires_abort() {
            KafkaTransaction::Abort.class()
        } else if self.is_retriable() {
            self.code().class().with_transience(Transience::Transient)
        } else {
            self.code().class()
        }
    }
}

/// No error, but handed out as one: there is no message at present.
const fn nothing_yet() -> Class {
    again(Kind::NotFound)
}
