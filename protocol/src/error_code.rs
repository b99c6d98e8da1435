//! The codes of replies and closes: one table with number, name, meaning, effect, retry rule and sender.
//!
//! Start with [`ErrorCode`]. `docs/error-codes.md` is made from this table, and a number stands for its meaning for
//! ever: none is used again for something else.

use std::fmt;

/// The number in `Reply.code` and `Close.code`.
///
/// Every number is a valid value, also one this build has no row for: a client passes such a number to the app as it
/// is. The associated constants are the numbers with a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(i32);

/// What a code ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Outcome {
    /// One command or call fails; the connection lives on.
    Reply,
    /// The connection ends. Where the code answers a command, the reply comes first and [`Close`](crate::Close) after.
    Close,
    /// As answer to a login or in a [`Close`](crate::Close) it ends the connection; as answer to any other command it
    /// fails that command alone.
    Either,
}

/// What a client does about a code when no person tells it what to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Retry {
    /// The client connects again by itself, after `retry_after_ms` if that is given and after its own back-off if not. With one exception:
    /// after 31011 with the detail `resumed` the session goes on with another connection, and to come back would take it from that.
    Automatic,
    /// The client connects again by itself, but with another protocol version or to another address. One that has
    /// neither reports the code and waits its longest back-off between attempts.
    Elsewhere,
    /// The client stops and reports the code. It may connect again once the time in `detail` or `retry_after_ms` has
    /// passed; without such a time, when the app says so.
    AfterDelay,
    /// The client stops and reports the code: the same attempt would fail the same way.
    Never,
    /// The connection needs nothing. The client hands the code to the app, which decides.
    App,
}

/// Who says a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Emitter {
    /// The server, on the wire.
    Server,
    /// A client library, to its app, without the server having said so.
    Client,
    /// Either of them.
    Both,
    /// Nobody: the number is kept free.
    Reserved,
}

/// One row of the table.
struct Row {
    number: i32,
    name: &'static str,
    outcome: Outcome,
    retry: Retry,
    emitter: Emitter,
    meaning: &'static str,
    meaning_zh: &'static str,
}

/// What is answered for a number without a row. The retry rule is that of a [`Close`](crate::Close): whatever is not
/// known to be final is tried again.
const UNRECOGNISED: Row = Row {
    number: 0,
    name: "Unrecognised",
    outcome: Outcome::Either,
    retry: Retry::Automatic,
    emitter: Emitter::Server,
    meaning: "a code that this version does not know",
    meaning_zh: "此版本不认识的错误码",
};

/// Makes the constants and the rows, so that no number stands in two places.
macro_rules! codes {
    ($($constant:ident = $number:literal, $name:literal, $outcome:ident, $retry:ident, $emitter:ident,
        $meaning:literal, $meaning_zh:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!($number, ": ", $meaning, ".")]
                pub const $constant: Self = Self($number);
            )*
        }

        /// All rows, by rising number.
        const ROWS: &[Row] = &[$(Row {
            number: $number,
            name: $name,
            outcome: Outcome::$outcome,
            retry: Retry::$retry,
            emitter: Emitter::$emitter,
            meaning: $meaning,
            meaning_zh: $meaning_zh,
        },)*];
    };
}

codes! {
    UNKNOWN = -1, "Unknown", Reply, App, Reserved,
        "unknown error (reserved: a client library's answer to a code it cannot decode)", "未知错误(预留)";
    NO_ERROR = 0, "NoError", Either, App, Server,
        "no error: the command is done; in a close: the client logged out", "没有错误:操作成功;关闭连接时:用户主动退出";
    IN_BLACKLIST = 405, "InBlacklist", Reply, App, Server,
        "put on the other user's blacklist", "已被对方加入黑名单";
    NOT_ON_ALLOW_LIST = 407, "NotOnAllowList", Reply, App, Server,
        "not among those whose messages the other user wants", "不在对方的白名单中";
    LOGIN_TIMEOUT = 4108, "LoginTimeout", Close, Automatic, Server,
        "no login in time", "未在规定时间内登录";
    FRAME_TOO_LONG = 4109, "FrameTooLong", Close, Automatic, Server,
        "a frame is longer than allowed", "数据帧超过长度上限";
    INTERNAL_ERROR = 4200, "InternalError", Reply, App, Server,
        "a fault inside the server", "服务器内部错误";
    CONVERSATION_UNKNOWN = 4303, "ConversationUnknown", Reply, App, Server,
        "there is no such conversation", "会话不存在";
    HISTORY_FAILED = 4311, "HistoryFailed", Reply, App, Server,
        "the history could not be read", "历史消息读取失败";
    CONVERSATION_EXPIRED = 4323, "ConversationExpired", Reply, App, Server,
        "the temporary conversation is over", "临时会话已过期";
    TIMEOUT = 5004, "Timeout", Reply, App, Both,
        "no answer in time; whether the command was done is not known", "超时";
    MUTED_IN_PEER = 20106, "MutedInPeer", Reply, App, Server,
        "muted in one-to-one conversations", "单聊中已被禁言";
    SYSTEM_CONVERSATION = 20109, "SystemConversation", Reply, App, Server,
        "nobody sends in a conversation of the system", "不支持在系统会话中进行该操作";
    EDIT_TOO_LATE = 20114, "EditTooLate", Reply, App, Server,
        "the message is too old to be changed", "消息已超过可编辑时间";
    CONTENT_TOO_LARGE = 20115, "ContentTooLarge", Reply, App, Server,
        "the message is larger than its type allows", "消息内容超过大小限制";
    NOT_EDITABLE = 20116, "NotEditable", Reply, App, Server,
        "a message of this type, or in this state, cannot be changed", "该消息不支持编辑";
    SEND_TOO_FAST = 20604, "SendTooFast", Reply, App, Both,
        "sending messages too fast, at most 5 in 1 second unless the detail names another limit",
        "发送消息频率过高,1 秒钟最多只允许发送 5 条消息";
    OPERATION_NOT_SUPPORTED = 20606, "OperationNotSupported", Reply, App, Server,
        "unknown command, or a command that is not served for this kind of conversation or message", "不支持该操作";
    REQUEST_TOO_FREQUENT = 20607, "RequestTooFrequent", Reply, App, Server,
        "too many requests, or the server sheds load", "请求过于频繁,或服务器正在限流";
    NOT_IN_DISCUSSION = 21406, "NotInDiscussion", Reply, App, Server,
        "not in this discussion group", "不在该讨论组中";
    WORD_BLOCKED = 21501, "WordBlocked", Reply, App, Server,
        "the text holds a word that the app does not allow", "消息中含有敏感词,发送失败";
    WORD_REPLACED = 21502, "WordReplaced", Reply, App, Server,
        "words of the text were replaced; the message was sent (a notice, not an error)", "消息中的敏感词已被替换";
    MESSAGE_UNKNOWN = 22201, "MessageUnknown", Reply, App, Server,
        "there is no such message", "消息不存在";
    NOT_IN_GROUP = 22406, "NotInGroup", Reply, App, Server,
        "not in this group", "不在该群组中";
    MUTED_IN_GROUP = 22408, "MutedInGroup", Reply, App, Server,
        "muted in this group", "在群组中已被禁言";
    NOT_IN_CHATROOM = 23406, "NotInChatroom", Reply, App, Server,
        "not in this chat room", "不在该聊天室中";
    MUTE_EXCEPTIONS_FULL = 23407, "MuteExceptionsFull", Reply, App, Server,
        "the list of those excepted from a mute is full (server API only)", "禁言白名单已满";
    MUTED_IN_CHATROOM = 23408, "MutedInChatroom", Reply, App, Server,
        "muted in this chat room", "在该聊天室中已被禁言";
    KICKED_FROM_CHATROOM = 23409, "KickedFromChatroom", Reply, App, Server,
        "kicked out of this chat room", "已被踢出聊天室";
    CHATROOM_NOT_EXIST = 23410, "ChatroomNotExist", Reply, App, Server,
        "the chat room does not exist", "聊天室不存在";
    CHATROOM_FULL = 23411, "ChatroomFull", Reply, App, Server,
        "the chat room has as many members as it may have", "聊天室成员超限(预留)";
    CHATROOM_PARAMETER = 23412, "ChatroomParameter", Reply, App, Server,
        "a parameter of a chat room is wrong (server API only)", "聊天室参数错误";
    ATTRIBUTES_FULL = 23423, "AttributesFull", Reply, App, Server,
        "the room has as many attributes as it may have", "聊天室属性数量超限";
    ATTRIBUTE_NOT_YOURS = 23424, "AttributeNotYours", Reply, App, Server,
        "the attribute exists and belongs to somebody else", "没有权限修改聊天室中已存在的属性";
    ATTRIBUTES_OFF = 23426, "AttributesOff", Reply, App, Server,
        "attributes are not switched on for this room", "聊天室属性功能未开通";
    ATTRIBUTE_MISSING = 23427, "AttributeMissing", Reply, App, Server,
        "the room has no such attribute", "聊天室属性不存在";
    ATTRIBUTES_PARTLY_FAILED = 23428, "AttributesPartlyFailed", Reply, App, Server,
        "no attribute of the batch could be written; the answer says why for each", "批量设置聊天室属性部分失败";
    TOO_MANY_ATTRIBUTES = 23429, "TooManyAttributes", Reply, App, Server,
        "more attributes in one call than allowed", "批量设置聊天室属性数量超限";
    ATTRIBUTE_CONFLICT = 23431, "AttributeConflict", Reply, App, Server,
        "the attribute was changed by somebody else meanwhile", "聊天室属性并发写入冲突";
    JOIN_EXTRA_TOO_LONG = 23437, "JoinExtraTooLong", Reply, App, Server,
        "what the newcomer brings for the others is too long", "加入聊天室的附加信息过长";
    RECALL_PARAMETER = 25101, "RecallParameter", Reply, App, Server,
        "messages of such a conversation cannot be taken back so", "撤回消息参数错误";
    RECALL_NOT_YOURS = 25107, "RecallNotYours", Reply, App, Server,
        "the message is somebody else's", "不能撤回他人的消息";
    GROUP_PERMISSION = 25405, "GroupPermission", Reply, App, Server,
        "not allowed to whoever has this role; the detail names the one that is", "没有群组操作权限";
    GROUP_EXISTS = 25409, "GroupExists", Reply, App, Server,
        "the group id is taken", "群组已存在";
    CONVERSATION_FULL = 25411, "ConversationFull", Reply, App, Server,
        "the conversation has as many members as it may have", "会话成员数已满";
    JOIN_NOT_ALLOWED = 25414, "JoinNotAllowed", Reply, App, Server,
        "nobody may join this conversation by himself", "不允许加入该会话";
    OWNER_STAYS = 25417, "OwnerStays", Reply, App, Server,
        "the owner cannot leave or be put out", "群主不能退出或被移除";
    NOT_A_MEMBER = 25418, "NotAMember", Reply, App, Server,
        "the user named is not inside", "目标用户不在会话中";
    GROUP_ID_WRONG = 25430, "GroupIdWrong", Reply, App, Server,
        "the group id is of the wrong form (server API only)", "群组 ID 错误";
    CONNECTION_RELEASED = 30001, "ConnectionReleased", Close, Automatic, Client,
        "the connection has been released", "连接已被释放";
    CONNECTION_UNAVAILABLE = 30002, "ConnectionUnavailable", Reply, Automatic, Client,
        "the connection is not usable at present", "连接不可用";
    REQUEST_TIMEOUT = 30003, "RequestTimeout", Reply, Automatic, Client,
        "a request while connecting got no answer in time", "请求响应超时";
    NAVIGATION_SEND_FAILED = 30004, "NavigationSendFailed", Reply, Automatic, Client,
        "the address look-up could not be sent", "导航 HTTP 发送失败";
    NAVIGATION_REQUEST_FAILED = 30007, "NavigationRequestFailed", Reply, Automatic, Client,
        "the address look-up was refused", "导航 HTTP 请求失败";
    NAVIGATION_BAD_FORMAT = 30008, "NavigationBadFormat", Reply, Automatic, Client,
        "the answer to the address look-up cannot be read", "导航 HTTP 返回数据格式错误";
    SOCKET_CREATE_FAILED = 30010, "SocketCreateFailed", Close, Automatic, Client,
        "the connection could not be opened", "创建 Socket 连接失败";
    SOCKET_DISCONNECTED = 30011, "SocketDisconnected", Close, Automatic, Client,
        "the connection broke", "Socket 断开";
    PING_FAILED = 30012, "PingFailed", Close, Automatic, Client,
        "a ping could not be sent", "PING 失败";
    PING_TIMEOUT = 30013, "PingTimeout", Close, Automatic, Both,
        "nothing heard from the other side for too long", "PING 超时";
    SIGNAL_SEND_FAILED = 30014, "SignalSendFailed", Reply, Automatic, Client,
        "a command could not be sent, or too many wait to be sent", "信令发送失败";
    CONNECT_TOO_OFTEN = 30015, "ConnectTooOften", Close, Automatic, Both,
        "connecting too often", "连接过于频繁";
    CONTENT_TOO_LARGE_TO_SEND = 30016, "ContentTooLargeToSend", Reply, App, Client,
        "the message is larger than its type allows, found before sending", "消息内容超过大小限制(发送前检查)";
    CONNECT_ACK_TIMEOUT = 31000, "ConnectAckTimeout", Close, Automatic, Client,
        "the login got no answer in time", "连接 ACK 超时";
    PROTOCOL_VERSION = 31001, "ProtocolVersion", Close, Elsewhere, Server,
        "protocol version not supported; the detail is the supported range", "信令版本错误";
    APP_KEY_INVALID = 31002, "AppKeyInvalid", Close, Never, Server,
        "unknown app key", "AppKey 错误";
    SERVER_UNAVAILABLE = 31003, "ServerUnavailable", Either, Automatic, Server,
        "the server is not available at present", "服务器当前不可用(预留)";
    TOKEN_INVALID = 31004, "TokenInvalid", Either, Never, Both,
        "the token is invalid: malformed, wrongly signed, expired or revoked", "Token 无效";
    APP_KEY_TOKEN_MISMATCH = 31005, "AppKeyTokenMismatch", Either, Never, Server,
        "the token belongs to another app or another user", "AppKey 与 Token 不匹配";
    REDIRECT = 31006, "Redirect", Close, Elsewhere, Server,
        "connect to another address", "连接重定向";
    BUNDLE_ID_INVALID = 31007, "BundleIdInvalid", Close, Never, Server,
        "the app does not accept this package name", "BundleID 不正确";
    APP_BLOCKED_OR_DELETED = 31008, "AppBlockedOrDeleted", Close, Never, Server,
        "the app is blocked or deleted", "AppKey 被封禁或已删除";
    USER_BLOCKED = 31009, "UserBlocked", Close, AfterDelay, Server,
        "the user is blocked; the detail says until when", "用户被封禁";
    KICKED_BY_OTHER_DEVICE = 31010, "KickedByOtherDevice", Close, Never, Server,
        "the user logged in on another device, and this one was put off", "当前用户在其他设备上登陆,此设备被踢下线";
    DISCONNECTED_BY_SERVER = 31011, "DisconnectedByServer", Close, Automatic, Both,
        "the server ended the connection", "与服务器的连接已断开";
    MALFORMED_FRAME = 32002, "MalformedFrame", Close, Automatic, Both,
        "a frame cannot be decoded or lacks a required part", "数据帧格式错误或内容不完整";
    NOT_INITIALISED = 33001, "NotInitialised", Reply, Never, Client,
        "the client library is not initialised", "SDK 没有初始化";
    DATABASE_ERROR = 33002, "DatabaseError", Reply, App, Client,
        "the local database failed (check token and user id)", "数据库错误";
    INVALID_PARAMETER = 33003, "InvalidParameter", Reply, Never, Both,
        "a parameter is wrong; the detail names it", "开发者接口调用时传入的参数错误";
    HISTORY_SERVICE_OFF = 33007, "HistoryServiceOff", Reply, App, Server,
        "history is not switched on", "历史消息云存储业务未开通";
    ALREADY_CONNECTED = 34001, "AlreadyConnected", Reply, App, Both,
        "logged in on this connection already, or connecting already", "连接已存在";
    NOT_LOGGED_IN = 6000121, "NotLoggedIn", Reply, App, Server,
        "not logged in", "尚未登录";
    MEDIA_FORMAT = 6000213, "MediaFormat", Reply, App, Server,
        "the file is of no format that this message type allows", "媒体格式不支持";
    MEDIA_TOO_LARGE = 6000214, "MediaTooLarge", Reply, App, Server,
        "the file is larger than this message type allows; the detail is the limit", "媒体文件超过大小限制";
    MEDIA_TOO_LONG = 6000215, "MediaTooLong", Reply, App, Server,
        "the recording is longer than this message type allows; the detail is the limit", "媒体时长超过限制";
    RECALL_TOO_LATE = 6000278, "RecallTooLate", Reply, App, Server,
        "the message is too old to be taken back", "消息已超过可撤回时间";
    ALREADY_RECALLED = 6000279, "AlreadyRecalled", Reply, App, Server,
        "the message was taken back already", "消息已被撤回";
    ROOM_ALREADY_EXISTS = 6000323, "RoomAlreadyExists", Reply, App, Server,
        "the room exists already", "房间已存在";
    ROOM_LIMIT_OF_APP = 6000324, "RoomLimitOfApp", Reply, App, Server,
        "the app has as many rooms as it may have, or this user has made as many", "应用的房间数达到上限";
    JOINED_ROOM_LIMIT = 6000325, "JoinedRoomLimit", Reply, App, Server,
        "inside as many rooms as allowed", "已加入的房间数达到上限";
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether the table has a row for this number. The texts and rules of the others say that they are unrecognised.
    pub fn is_known(self) -> bool {
        Self::position(self).is_ok()
    }

    /// The name in the documentation, for example `TokenInvalid`; `Unrecognised` for a number without a row.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What it means, in English: lower case, without a full stop.
    pub fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// What it means, in Chinese.
    pub fn meaning_zh(self) -> &'static str {
        self.row().meaning_zh
    }

    /// Whether it ends one command or the connection. [`Outcome::Either`] for a number without a row: it ends what the
    /// frame that carried it says.
    pub fn outcome(self) -> Outcome {
        self.row().outcome
    }

    /// What a client does about it by itself. [`Retry::Automatic`] for a number without a row in a
    /// [`Close`](crate::Close); in a [`Reply`](crate::Reply) such a number goes to the app and nothing else happens.
    pub fn retry(self) -> Retry {
        self.row().retry
    }

    /// Who says it. [`Emitter::Server`] for a number without a row: it came from a newer one.
    pub fn emitter(self) -> Emitter {
        self.row().emitter
    }

    /// The codes with a row, by rising number.
    pub fn all() -> impl ExactSizeIterator<Item = Self> + Clone {
        ROWS.iter().map(|row| Self(row.number))
    }

    fn position(self) -> Result<usize, usize> {
        ROWS.binary_search_by_key(&self.0, |row| row.number)
    }

    fn row(self) -> &'static Row {
        match self.position() {
            Ok(position) => &ROWS[position],
            Err(_) => &UNRECOGNISED,
        }
    }
}

impl From<i32> for ErrorCode {
    fn from(number: i32) -> Self {
        Self(number)
    }
}

impl From<ErrorCode> for i32 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

impl fmt::Display for ErrorCode {
    /// Number and name, as in `31004 TokenInvalid`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.0, self.name())
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ErrorCode({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes that native SDKs have always known: number, who says it, and whether it ends the connection.
    const ORIGINAL_CODES: [(i32, Emitter, bool); 40] = [
        (30001, Emitter::Client, true),
        (30002, Emitter::Client, false),
        (30003, Emitter::Client, false),
        (30004, Emitter::Client, false),
        (30007, Emitter::Client, false),
        (30008, Emitter::Client, false),
        (30010, Emitter::Client, true),
        (30011, Emitter::Client, true),
        (30012, Emitter::Client, true),
        (30013, Emitter::Both, true),
        (30014, Emitter::Client, false),
        (30015, Emitter::Both, true),
        (31000, Emitter::Client, true),
        (31001, Emitter::Server, true),
        (31002, Emitter::Server, true),
        (31003, Emitter::Server, true),
        (31004, Emitter::Both, true),
        (31005, Emitter::Server, true),
        (31006, Emitter::Server, true),
        (31007, Emitter::Server, true),
        (31008, Emitter::Server, true),
        (31009, Emitter::Server, true),
        (31010, Emitter::Server, true),
        (31011, Emitter::Both, true),
        (33001, Emitter::Client, false),
        (33002, Emitter::Client, false),
        (33003, Emitter::Both, false),
        (33007, Emitter::Server, false),
        (-1, Emitter::Reserved, false),
        (405, Emitter::Server, false),
        (5004, Emitter::Both, false),
        (20604, Emitter::Both, false),
        (21406, Emitter::Server, false),
        (22406, Emitter::Server, false),
        (22408, Emitter::Server, false),
        (23406, Emitter::Server, false),
        (23408, Emitter::Server, false),
        (23409, Emitter::Server, false),
        (23410, Emitter::Server, false),
        (23411, Emitter::Server, false),
    ];

    #[test]
    fn the_numbers_rise_and_none_appears_twice() {
        for pair in ROWS.windows(2) {
            assert!(
                pair[0].number < pair[1].number,
                "{} before {}",
                pair[0].number,
                pair[1].number
            );
        }
    }

    #[test]
    fn every_row_is_found_by_its_number() {
        assert_eq!(ErrorCode::all().len(), ROWS.len());
        for (code, row) in ErrorCode::all().zip(ROWS) {
            assert!(code.is_known());
            assert_eq!(code.name(), row.name);
        }
    }

    #[test]
    fn no_name_and_no_meaning_appears_twice() {
        for (position, row) in ROWS.iter().enumerate() {
            for other in &ROWS[position + 1..] {
                assert_ne!(row.name, other.name);
                assert_ne!(row.meaning, other.meaning);
                assert_ne!(row.meaning_zh, other.meaning_zh);
            }
        }
    }

    #[test]
    fn the_original_forty_codes_keep_their_sender_and_their_effect() {
        for (number, emitter, ends_the_connection) in ORIGINAL_CODES {
            let code = ErrorCode::from(number);
            assert!(code.is_known(), "{number}");
            assert_eq!(code.emitter(), emitter, "{code}");
            assert_eq!(code.outcome() != Outcome::Reply, ends_the_connection, "{code}");
        }
    }

    #[test]
    fn clients_stop_at_exactly_these_codes() {
        let never: Vec<i32> = ErrorCode::all()
            .filter(|code| code.retry() == Retry::Never)
            .map(ErrorCode::number)
            .collect();
        assert_eq!(never, [31002, 31004, 31005, 31007, 31008, 31010, 33001, 33003]);
        let after_delay: Vec<ErrorCode> = ErrorCode::all()
            .filter(|code| code.retry() == Retry::AfterDelay)
            .collect();
        assert_eq!(after_delay, [ErrorCode::USER_BLOCKED]);
    }

    #[test]
    fn whatever_ends_the_connection_and_is_not_final_is_tried_again() {
        for code in ErrorCode::all().filter(|code| code.outcome() == Outcome::Close) {
            assert_ne!(code.retry(), Retry::App, "{code}");
        }
    }

    #[test]
    fn an_unknown_number_survives_and_says_that_it_is_unknown() {
        let code = ErrorCode::from(987_654);
        assert!(!code.is_known());
        assert_eq!(i32::from(code), 987_654);
        assert_eq!(code.to_string(), "987654 Unrecognised");
        assert_eq!(code.retry(), Retry::Automatic);
    }

    #[test]
    fn a_code_shows_its_number_and_its_name() {
        assert_eq!(ErrorCode::TOKEN_INVALID.to_string(), "31004 TokenInvalid");
        assert_eq!(format!("{:?}", ErrorCode::UNKNOWN), "ErrorCode(-1 Unknown)");
    }
}
