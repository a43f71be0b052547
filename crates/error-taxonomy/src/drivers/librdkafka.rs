//! The codes that librdkafka adds to those of the protocol.

use crate::codes::{self, again, no};
use crate::drivers::KafkaClient;
use crate::{Class, Effect, Kind, Severity, Transience};

/// The class of a librdkafka code, or nothing for those that are no errors.
///
/// Codes from -1 upwards are those of the protocol, see [`codes::kafka`]; the library's own lie
/// below.
/// No errors are its notices: end of a partition, partitions assigned or revoked, nothing to do.
/// Codes: `rd_kafka_resp_err_t` of librdkafka 2.12.
///
/// ```
/// use backstop_error_taxonomy::{Kind, drivers::librdkafka};
///
/// assert_eq!(librdkafka(-184).map(|class| class.kind()), Some(Kind::RateLimited), "queue full");
/// assert_eq!(librdkafka(-191), None, "the end of a partition");
/// assert_eq!(librdkafka(7), backstop_error_taxonomy::codes::kafka(7));
/// ```
pub const fn librdkafka(code: i32) -> Option<Class> {
    const HIGHEST: i32 = i16::MAX as i32;
    match code {
        #[expect(clippy::cast_possible_truncation, reason = "the range of the arm")]
        -1..=HIGHEST => codes::kafka(code as i16),
        // PARTITION_EOF, ASSIGN_PARTITIONS, REVOKE_PARTITIONS, NOOP.
        -191 | -175 | -174 | -141 => None,
        _ => Some(local(code)),
    }
}

/// The class of what librdkafka itself reports.
const fn local(code: i32) -> Class {
    match code {
        // BAD_MSG, BAD_COMPRESSION, KEY_DESERIALIZATION, VALUE_DESERIALIZATION, UNDERFLOW.
        -199 | -198 | -160 | -159 | -155 => no(Kind::Data),
        // PARTIAL: an answer that broke off.
        -158 => Class::of(Kind::Data).with_effect(Effect::Unknown),
        // DESTROY, PURGE_INFLIGHT, DESTROY_BROKER: what was under way may have arrived.
        -197 | -151 | -137 => KafkaClient::Canceled.class(),
        // PURGE_QUEUE: it never left.
        -152 => no(Kind::Cancelled),
        // TRANSPORT, ALL_BROKERS_DOWN.
        -195 | -187 => Class::of(Kind::Connection),
        // RESOLVE.
        -193 => again(Kind::Connection),
        // SSL.
        -181 => no(Kind::Connection),
        // AUTHENTICATION.
        -169 => no(Kind::Auth),
        // MSG_TIMED_OUT, TIMED_OUT.
        -192 | -185 => KafkaClient::MessageTimedOut.class(),
        // TIMED_OUT_QUEUE: it never left.
        -166 => again(Kind::Timeout),
        // QUEUE_FULL.
        -184 => KafkaClient::QueueFull.class(),
        // ISR_INSUFF, NODE_UPDATE, WAIT_COORD, WAIT_CACHE, INTR, RETRY.
        -183 | -182 | -180 | -164 | -163 | -153 => again(Kind::Unavailable),
        // FS: a file of the client's own, perhaps half written.
        -189 => Class::of(Kind::Unavailable).with_transience(Transience::Permanent),
        // IN_PROGRESS, PREV_IN_PROGRESS, CONFLICT.
        -178 | -177 | -173 => again(Kind::Conflict),
        // EXISTING_SUBSCRIPTION, OUTDATED, MAX_POLL_EXCEEDED, ASSIGNMENT_LOST.
        -176 | -167 | -147 | -142 => no(Kind::Conflict),
        // FENCED.
        -144 => KafkaClient::Fenced.class(),
        // UNKNOWN_PARTITION, UNKNOWN_TOPIC, UNKNOWN_GROUP, NO_OFFSET, NOENT, UNKNOWN_BROKER.
        -190 | -188 | -179 | -168 | -156 | -146 => no(Kind::NotFound),
        // INVALID_ARG, KEY_SERIALIZATION, VALUE_SERIALIZATION, INVALID_DIFFERENT_RECORD.
        -186 | -162 | -161 | -138 => no(Kind::Invalid),
        // STATE, AUTO_OFFSET_RESET.
        -172 | -140 => no(Kind::Precondition),
        // UNKNOWN_PROTOCOL, NOT_IMPLEMENTED, UNSUPPORTED_FEATURE.
        -171 | -170 | -165 => no(Kind::Unsupported),
        // NOT_CONFIGURED.
        -145 => KafkaClient::ClientConfig.class(),
        // INCONSISTENT, GAPLESS_GUARANTEE, LOG_TRUNCATION: messages may be missing.
        -149 | -148 | -139 => Class::of(Kind::Inconsistent),
        // READ_ONLY, INVALID_TYPE: faults of our own code.
        -157 | -154 => no(Kind::Internal),
        // FAIL.
        -196 => Class::of(Kind::Internal),
        // CRIT_SYS_RESOURCE, FATAL: the client is of no more use.
        -194 | -150 => Class::of(Kind::Internal).with_severity_floor(Severity::Critical),
        // APPLICATION, and whatever a later version adds.
        _ => Class::of(Kind::Other),
    }
}
