//! Error codes of the Kafka protocol.

use super::{again, no};
use crate::{Class, Effect, Kind, Severity, UnknownName};

/// It may pass, and it may have happened.
const fn perhaps(kind: Kind) -> Class {
    again(kind).with_effect(Effect::Unknown)
}

/// The failures of the protocol, by number from -1 without a gap; 0 is no failure.
struct Row {
    name: &'static str,
    class: Option<Class>,
}

macro_rules! rows {
    ($($code:literal $name:ident $class:expr;)+) => {
        const ROWS: &[Row] = &[$(Row { name: stringify!($name), class: $class }),+];
        // The index of a row is its number plus one; a gap would shift all that follow.
        const _: () = {
            let codes: &[i16] = &[$($code),+];
            let mut index = 0;
            let mut expected = -1;
            while index < codes.len() {
                assert!(codes[index] == expected, "codes are listed from -1 without a gap");
                index += 1;
                expected += 1;
            }
        };
    };
}

// Names and numbers: Kafka 4.1, https://kafka.apache.org/protocol#protocol_error_codes.
// Transience is Kafka's own word: what its client's `RetriableException` family holds.
rows! {
    -1 UNKNOWN_SERVER_ERROR Some(no(Kind::Unavailable).with_effect(Effect::Unknown));
    0 NONE None;
    1 OFFSET_OUT_OF_RANGE Some(no(Kind::Invalid));
    2 CORRUPT_MESSAGE Some(again(Kind::Data));
    3 UNKNOWN_TOPIC_OR_PARTITION Some(again(Kind::NotFound));
    4 INVALID_FETCH_SIZE Some(no(Kind::Invalid));
    5 LEADER_NOT_AVAILABLE Some(again(Kind::Unavailable));
    // A leader that is deposed while it waits for its replicas answers so after it has written.
    6 NOT_LEADER_OR_FOLLOWER Some(perhaps(Kind::Unavailable));
    7 REQUEST_TIMED_OUT Some(perhaps(Kind::Timeout));
    8 BROKER_NOT_AVAILABLE Some(no(Kind::Unavailable));
    9 REPLICA_NOT_AVAILABLE Some(again(Kind::Unavailable));
    10 MESSAGE_TOO_LARGE Some(no(Kind::Invalid));
    11 STALE_CONTROLLER_EPOCH Some(no(Kind::Conflict));
    12 OFFSET_METADATA_TOO_LARGE Some(no(Kind::Invalid));
    13 NETWORK_EXCEPTION Some(perhaps(Kind::Connection));
    14 COORDINATOR_LOAD_IN_PROGRESS Some(again(Kind::Unavailable));
    15 COORDINATOR_NOT_AVAILABLE Some(again(Kind::Unavailable));
    16 NOT_COORDINATOR Some(again(Kind::Unavailable));
    17 INVALID_TOPIC_EXCEPTION Some(no(Kind::Invalid));
    18 RECORD_LIST_TOO_LARGE Some(no(Kind::Invalid));
    19 NOT_ENOUGH_REPLICAS Some(again(Kind::Unavailable));
    // Written to the leader's log, perhaps to be lost with it: sent again it may be there twice.
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Some(perhaps(Kind::Unavailable));
    21 INVALID_REQUIRED_ACKS Some(no(Kind::Invalid));
    22 ILLEGAL_GENERATION Some(no(Kind::Conflict));
    23 INCONSISTENT_GROUP_PROTOCOL Some(no(Kind::Config));
    24 INVALID_GROUP_ID Some(no(Kind::Invalid));
    25 UNKNOWN_MEMBER_ID Some(no(Kind::Conflict));
    26 INVALID_SESSION_TIMEOUT Some(no(Kind::Config));
    // A rejoin helps, the same request does not.
    27 REBALANCE_IN_PROGRESS Some(no(Kind::Conflict));
    28 INVALID_COMMIT_OFFSET_SIZE Some(no(Kind::Invalid));
    29 TOPIC_AUTHORIZATION_FAILED Some(no(Kind::Auth));
    30 GROUP_AUTHORIZATION_FAILED Some(no(Kind::Auth));
    31 CLUSTER_AUTHORIZATION_FAILED Some(no(Kind::Auth));
    32 INVALID_TIMESTAMP Some(no(Kind::Invalid));
    33 UNSUPPORTED_SASL_MECHANISM Some(no(Kind::Unsupported));
    34 ILLEGAL_SASL_STATE Some(no(Kind::Auth));
    35 UNSUPPORTED_VERSION Some(no(Kind::Unsupported));
    36 TOPIC_ALREADY_EXISTS Some(no(Kind::Conflict));
    37 INVALID_PARTITIONS Some(no(Kind::Invalid));
    38 INVALID_REPLICATION_FACTOR Some(no(Kind::Invalid));
    39 INVALID_REPLICA_ASSIGNMENT Some(no(Kind::Invalid));
    40 INVALID_CONFIG Some(no(Kind::Config));
    41 NOT_CONTROLLER Some(again(Kind::Unavailable));
    42 INVALID_REQUEST Some(no(Kind::Invalid));
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Some(no(Kind::Unsupported));
    44 POLICY_VIOLATION Some(no(Kind::Rejected));
    // The broker misses records that the producer has sent.
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Some(no(Kind::Inconsistent));
    // The records are in the log already: an earlier attempt got through.
    46 DUPLICATE_SEQUENCE_NUMBER Some(no(Kind::Conflict).with_effect(Effect::Applied));
    47 INVALID_PRODUCER_EPOCH Some(no(Kind::Conflict));
    48 INVALID_TXN_STATE Some(no(Kind::Internal));
    49 INVALID_PRODUCER_ID_MAPPING Some(no(Kind::Conflict));
    50 INVALID_TRANSACTION_TIMEOUT Some(no(Kind::Config));
    51 CONCURRENT_TRANSACTIONS Some(again(Kind::Conflict));
    52 TRANSACTION_COORDINATOR_FENCED Some(no(Kind::Conflict));
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Some(no(Kind::Auth));
    54 SECURITY_DISABLED Some(no(Kind::Unsupported));
    55 OPERATION_NOT_ATTEMPTED Some(no(Kind::Precondition));
    56 KAFKA_STORAGE_ERROR Some(perhaps(Kind::Unavailable));
    57 LOG_DIR_NOT_FOUND Some(no(Kind::NotFound));
    58 SASL_AUTHENTICATION_FAILED Some(no(Kind::Auth));
    59 UNKNOWN_PRODUCER_ID Some(no(Kind::Conflict));
    60 REASSIGNMENT_IN_PROGRESS Some(no(Kind::Conflict));
    61 DELEGATION_TOKEN_AUTH_DISABLED Some(no(Kind::Unsupported));
    62 DELEGATION_TOKEN_NOT_FOUND Some(no(Kind::NotFound));
    63 DELEGATION_TOKEN_OWNER_MISMATCH Some(no(Kind::Auth));
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Some(no(Kind::Auth));
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Some(no(Kind::Auth));
    66 DELEGATION_TOKEN_EXPIRED Some(no(Kind::Auth));
    67 INVALID_PRINCIPAL_TYPE Some(no(Kind::Invalid));
    68 NON_EMPTY_GROUP Some(no(Kind::Precondition));
    69 GROUP_ID_NOT_FOUND Some(no(Kind::NotFound));
    70 FETCH_SESSION_ID_NOT_FOUND Some(again(Kind::NotFound));
    71 INVALID_FETCH_SESSION_EPOCH Some(again(Kind::Conflict));
    72 LISTENER_NOT_FOUND Some(again(Kind::Unavailable));
    73 TOPIC_DELETION_DISABLED Some(no(Kind::Unsupported));
    74 FENCED_LEADER_EPOCH Some(again(Kind::Conflict));
    75 UNKNOWN_LEADER_EPOCH Some(again(Kind::Conflict));
    76 UNSUPPORTED_COMPRESSION_TYPE Some(no(Kind::Unsupported));
    77 STALE_BROKER_EPOCH Some(no(Kind::Conflict));
    78 OFFSET_NOT_AVAILABLE Some(again(Kind::Unavailable));
    79 MEMBER_ID_REQUIRED Some(no(Kind::Precondition));
    80 PREFERRED_LEADER_NOT_AVAILABLE Some(again(Kind::Unavailable));
    81 GROUP_MAX_SIZE_REACHED Some(no(Kind::Rejected));
    // Another process runs under the same name; the older one must stop.
    82 FENCED_INSTANCE_ID Some(no(Kind::Conflict).with_severity_floor(Severity::Critical));
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE Some(again(Kind::Unavailable));
    84 ELECTION_NOT_NEEDED Some(again(Kind::Precondition));
    85 NO_REASSIGNMENT_IN_PROGRESS Some(no(Kind::NotFound));
    86 GROUP_SUBSCRIBED_TO_TOPIC Some(no(Kind::Precondition));
    87 INVALID_RECORD Some(no(Kind::Invalid));
    88 UNSTABLE_OFFSET_COMMIT Some(again(Kind::Conflict));
    89 THROTTLING_QUOTA_EXCEEDED Some(again(Kind::RateLimited));
    90 PRODUCER_FENCED Some(no(Kind::Conflict).with_severity_floor(Severity::Critical));
    91 RESOURCE_NOT_FOUND Some(no(Kind::NotFound));
    92 DUPLICATE_RESOURCE Some(no(Kind::Conflict));
    93 UNACCEPTABLE_CREDENTIAL Some(no(Kind::Auth));
    94 INCONSISTENT_VOTER_SET Some(no(Kind::Inconsistent));
    95 INVALID_UPDATE_VERSION Some(no(Kind::Conflict));
    96 FEATURE_UPDATE_FAILED Some(no(Kind::Rejected));
    97 PRINCIPAL_DESERIALIZATION_FAILURE Some(no(Kind::Data));
    98 SNAPSHOT_NOT_FOUND Some(no(Kind::NotFound));
    99 POSITION_OUT_OF_RANGE Some(no(Kind::Invalid));
    100 UNKNOWN_TOPIC_ID Some(again(Kind::NotFound));
    101 DUPLICATE_BROKER_REGISTRATION Some(no(Kind::Conflict));
    102 BROKER_ID_NOT_REGISTERED Some(no(Kind::NotFound));
    103 INCONSISTENT_TOPIC_ID Some(again(Kind::Conflict));
    104 INCONSISTENT_CLUSTER_ID Some(no(Kind::Config));
    105 TRANSACTIONAL_ID_NOT_FOUND Some(no(Kind::NotFound));
    106 FETCH_SESSION_TOPIC_ID_ERROR Some(again(Kind::Conflict));
    107 INELIGIBLE_REPLICA Some(no(Kind::Precondition));
    108 NEW_LEADER_ELECTED Some(no(Kind::Conflict));
    109 OFFSET_MOVED_TO_TIERED_STORAGE Some(no(Kind::Precondition));
    110 FENCED_MEMBER_EPOCH Some(no(Kind::Conflict));
    111 UNRELEASED_INSTANCE_ID Some(no(Kind::Conflict));
    112 UNSUPPORTED_ASSIGNOR Some(no(Kind::Unsupported));
    113 STALE_MEMBER_EPOCH Some(no(Kind::Conflict));
    114 MISMATCHED_ENDPOINT_TYPE Some(no(Kind::Config));
    115 UNSUPPORTED_ENDPOINT_TYPE Some(no(Kind::Unsupported));
    116 UNKNOWN_CONTROLLER_ID Some(no(Kind::NotFound));
    117 UNKNOWN_SUBSCRIPTION_ID Some(no(Kind::NotFound));
    118 TELEMETRY_TOO_LARGE Some(no(Kind::Invalid));
    119 INVALID_REGISTRATION Some(no(Kind::Invalid));
    // The transaction is aborted and done again as a whole; the same request stays refused.
    120 TRANSACTION_ABORTABLE Some(no(Kind::Conflict));
    121 INVALID_RECORD_STATE Some(no(Kind::Conflict));
    122 SHARE_SESSION_NOT_FOUND Some(again(Kind::NotFound));
    123 INVALID_SHARE_SESSION_EPOCH Some(again(Kind::Conflict));
    124 FENCED_STATE_EPOCH Some(no(Kind::Conflict));
    125 INVALID_VOTER_KEY Some(no(Kind::Invalid));
    126 DUPLICATE_VOTER Some(no(Kind::Conflict));
    127 VOTER_NOT_FOUND Some(no(Kind::NotFound));
    128 INVALID_REGULAR_EXPRESSION Some(no(Kind::Invalid));
    129 REBOOTSTRAP_REQUIRED Some(no(Kind::Unavailable));
    130 STREAMS_INVALID_TOPOLOGY Some(no(Kind::Invalid));
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Some(no(Kind::Conflict));
    132 STREAMS_TOPOLOGY_FENCED Some(no(Kind::Conflict));
    133 SHARE_SESSION_LIMIT_REACHED Some(again(Kind::RateLimited));
}

/// Names that older brokers and clients use for the same numbers.
const FORMER: &[(&str, i16)] = &[
    ("UNKNOWN", -1),
    ("NO_ERROR", 0),
    ("NOT_LEADER_FOR_PARTITION", 6),
    ("MESSAGE_SIZE_TOO_LARGE", 10),
    ("GROUP_LOAD_IN_PROGRESS", 14),
    ("GROUP_COORDINATOR_NOT_AVAILABLE", 15),
    ("NOT_COORDINATOR_FOR_GROUP", 16),
    ("INVALID_TOPIC", 17),
    ("INVALID_REPLICATION_ASSIGNMENT", 39),
];

/// The class of a Kafka protocol code, or nothing for 0, which is no error.
///
/// Transience is Kafka's own word, so a producer and this crate never disagree about it.
/// A broker that refuses has written nothing; where it may have, the effect is unknown.
/// A number of a broker newer than this table is [`Kind::Other`].
///
/// ```
/// use backstop_error_taxonomy::{Effect, Kind, codes};
///
/// let timed_out = codes::kafka(7).unwrap();
/// assert_eq!((timed_out.kind(), timed_out.effect()), (Kind::Timeout, Effect::Unknown));
/// assert_eq!(codes::kafka(0), None);
/// assert_eq!(codes::kafka(9_999).map(|class| class.kind()), Some(Kind::Other));
/// ```
pub const fn kafka(code: i16) -> Option<Class> {
    match row(code) {
        Some(row) => row.class,
        None => Some(Class::of(Kind::Other)),
    }
}

/// The protocol's name of a Kafka code, if this version knows it.
///
/// ```
/// use backstop_error_taxonomy::codes;
///
/// assert_eq!(codes::kafka_name(6), Some("NOT_LEADER_OR_FOLLOWER"));
/// assert_eq!(codes::kafka_name(9_999), None);
/// ```
pub const fn kafka_name(code: i16) -> Option<&'static str> {
    match row(code) {
        Some(row) => Some(row.name),
        None => None,
    }
}

/// The Kafka code of a name, as the protocol writes it now or wrote it formerly.
///
/// ```
/// use backstop_error_taxonomy::codes;
///
/// assert_eq!(codes::kafka_code("NOT_LEADER_OR_FOLLOWER"), Ok(6));
/// assert_eq!(codes::kafka_code("NOT_LEADER_FOR_PARTITION"), Ok(6));
/// ```
///
/// # Errors
///
/// [`UnknownName`] for a name that is in neither list.
pub fn kafka_code(name: &str) -> Result<i16, UnknownName> {
    let now = (-1..).zip(ROWS).find(|(_, row)| row.name == name).map(|(code, _)| code);
    let formerly = || FORMER.iter().find(|(former, _)| *former == name).map(|(_, code)| *code);
    now.or_else(formerly).ok_or_else(|| UnknownName::new("Kafka error code", name))
}

const fn row(code: i16) -> Option<&'static Row> {
    // A negative index becomes one far beyond the table.
    let index = (code as i32 + 1).cast_unsigned() as usize;
    if index < ROWS.len() { Some(&ROWS[index]) } else { None }
}
