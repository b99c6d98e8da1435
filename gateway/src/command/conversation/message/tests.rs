use bytes::Bytes;

use super::*;

type Change = fn(&mut SendMessage);

fn good() -> SendMessage {
    SendMessage {
        conversation_type: ConversationType::Peer.into(),
        target_id: "bob".into(),
        r#type: MessageType::Text.into(),
        content: Bytes::from_static(b"hello"),
        client_message_id: "m1".into(),
        ..SendMessage::default()
    }
}

fn media(kind: MessageType, format: &str) -> SendMessage {
    SendMessage {
        r#type: kind.into(),
        content: Bytes::new(),
        media: Some(MediaInfo {
            url: "https://files.example/1".into(),
            format: format.into(),
            size_bytes: 1,
            ..MediaInfo::default()
        }),
        ..good()
    }
}

fn of_type(kind: MessageType, content_bytes: usize) -> SendMessage {
    let content = vec![b'x'; content_bytes].into();
    match kind {
        MessageType::Image => SendMessage {
            content,
            ..media(kind, "png")
        },
        MessageType::File => SendMessage {
            content,
            ..media(kind, "")
        },
        MessageType::Audio => SendMessage {
            content,
            ..media(kind, "mp3")
        },
        MessageType::Video => SendMessage {
            content,
            ..media(kind, "mp4")
        },
        _ => SendMessage {
            r#type: kind.into(),
            content,
            object_name: if kind == MessageType::Custom { "app:vote" } else { "" }.into(),
            combined_id: if kind == MessageType::Combined { "c1" } else { "" }.into(),
            ..good()
        },
    }
}

#[track_caller]
fn refused_as(message: &SendMessage) -> (i32, String) {
    let refusal = send(message).expect_err("it is refused");
    (refusal.code.number(), refusal.detail.into_owned())
}

#[track_caller]
fn taken(message: &SendMessage) {
    assert_eq!(send(message), Ok(()), "{message:?}");
}

#[test]
fn every_type_has_its_largest_content_with_the_extended_data() {
    for (kind, limit) in [
        (MessageType::Text, 32 * 1024),
        (MessageType::Command, 5 * 1024),
        (MessageType::Image, 32 * 1024),
        (MessageType::File, 32 * 1024),
        (MessageType::Audio, 32 * 1024),
        (MessageType::Video, 32 * 1024),
        (MessageType::Combined, 32 * 1024),
        (MessageType::Custom, 32 * 1024),
    ] {
        taken(&of_type(kind, limit));
        let too_large = (20115, limit.to_string());
        assert_eq!(refused_as(&of_type(kind, limit + 1)), too_large, "{kind:?}");
        let beside = |extra: usize| SendMessage {
            extended_data: "e".repeat(extra),
            ..of_type(kind, limit - 10)
        };
        taken(&beside(10));
        assert_eq!(refused_as(&beside(11)), too_large, "{kind:?} with extended data");
    }
}

#[test]
fn users_write_to_users_groups_and_discussions_alone() {
    let to = |conversation_type: i32| SendMessage {
        conversation_type,
        ..good()
    };
    for kind in [
        ConversationType::Peer,
        ConversationType::Group,
        ConversationType::Discussion,
    ] {
        taken(&to(kind.into()));
    }
    assert_eq!(refused_as(&to(ConversationType::System.into())), (20109, String::new()));
    for kind in [ConversationType::Room.into(), 5, -1] {
        assert_eq!(refused_as(&to(kind)), (20606, String::new()), "{kind}");
    }
}

#[test]
fn barrage_is_for_rooms_and_unknown_types_are_for_nobody() {
    assert_eq!(refused_as(&of_type(MessageType::Barrage, 1)), (33003, "type".into()));
    for kind in [0, 3, 10, 15, 99, 101, 199, 201, -1, i32::MAX] {
        let message = SendMessage { r#type: kind, ..good() };
        assert_eq!(refused_as(&message), (20606, String::new()), "{kind}");
    }
}

#[test]
fn wrong_fields_are_named() {
    let cases: [(&str, Change); 24] = [
        ("target_id", |message| message.target_id = String::new()),
        ("target_id", |message| message.target_id = "a\nb".into()),
        ("target_id", |message| {
            message.conversation_type = 2;
            message.target_id = "g".repeat(257);
        }),
        ("client_message_id", |message| {
            message.client_message_id = "i".repeat(65)
        }),
        ("priority", |message| message.priority = 4),
        ("object_name", |message| message.object_name = "app:x".into()),
        ("content", |message| message.content = Bytes::new()),
        ("content", |message| message.content = Bytes::from_static(b"caf\xe9")),
        ("content", |message| *message = of_type(MessageType::Custom, 0)),
        ("content", |message| *message = of_type(MessageType::Combined, 0)),
        ("media", |message| message.media = Some(MediaInfo::default())),
        ("media", |message| {
            *message = of_type(MessageType::Image, 1);
            message.media = None;
        }),
        ("sender_info", |message| {
            message.sender_info = Some(SenderInfo {
                name: "n".repeat(257),
                ..SenderInfo::default()
            });
        }),
        ("sender_info", |message| {
            message.sender_info = Some(SenderInfo {
                portrait_url: "p".repeat(1025),
                ..SenderInfo::default()
            });
        }),
        ("sender_info", |message| {
            message.sender_info = Some(SenderInfo {
                extra: "e".repeat(1025),
                ..SenderInfo::default()
            });
        }),
        ("mentioned_user_ids", |message| {
            message.mentioned_user_ids = vec!["u".into(); 51]
        }),
        ("mentioned_user_ids", |message| {
            message.mentioned_user_ids = vec![String::new()]
        }),
        ("push_content", |message| message.push_content = "p".repeat(1025)),
        ("push_data", |message| message.push_data = "p".repeat(4097)),
        ("keep", |message| message.keep = 4),
        ("keep", |message| {
            *message = of_type(MessageType::Command, 1);
            message.keep = MessageKeep::Stored.into();
        }),
        ("keep", |message| {
            *message = of_type(MessageType::Combined, 1);
            message.keep = MessageKeep::None.into();
        }),
        ("combined_id", |message| message.combined_id = "c1".into()),
        ("combined_id", |message| {
            *message = of_type(MessageType::Combined, 1);
            message.combined_id = "c_1".into();
        }),
    ];
    for (field, change) in cases {
        let mut message = good();
        change(&mut message);
        assert_eq!(refused_as(&message), (33003, field.into()), "{message:?}");
    }
}

#[test]
fn fields_are_taken_up_to_their_limits() {
    let changes: [Change; 7] = [
        |message| message.client_message_id = "i".repeat(64),
        |message| message.target_id = "宽".repeat(64),
        |message| {
            message.sender_info = Some(SenderInfo {
                user_id: "alice".into(),
                name: "n".repeat(256),
                portrait_url: "p".repeat(1024),
                extra: "e".repeat(1024),
            });
        },
        |message| message.mentioned_user_ids = vec!["u".into(); 50],
        |message| message.push_content = "p".repeat(1024),
        |message| message.push_data = "p".repeat(4096),
        |message| {
            *message = of_type(MessageType::Combined, 1);
            message.combined_id = "c".repeat(64);
        },
    ];
    for change in changes {
        let mut message = good();
        change(&mut message);
        taken(&message);
    }
    for keep in [MessageKeep::None, MessageKeep::Stored, MessageKeep::Counted] {
        taken(&SendMessage {
            keep: keep.into(),
            ..good()
        });
    }
}

#[test]
fn files_have_the_formats_sizes_and_lengths_of_their_type() {
    const MIB: u64 = 1024 * 1024;
    for (kind, formats, other, bytes_max) in [
        (
            MessageType::Image,
            &["jpg", "jpeg", "png", "bmp", "tif", "tiff", "gif", "webp"][..],
            Some("heic"),
            10 * MIB,
        ),
        (MessageType::File, &["", "pdf", "exe"], None, 100 * MIB),
        (MessageType::Audio, &["mp3", "m4a"], Some("wav"), 6 * MIB),
        (MessageType::Video, &["mp4", "mov"], Some("avi"), 100 * MIB),
    ] {
        for format in formats {
            taken(&media(kind, format));
        }
        if let Some(other) = other {
            assert_eq!(refused_as(&media(kind, other)), (6000213, String::new()), "{kind:?}");
            assert_eq!(refused_as(&media(kind, "")), (6000213, String::new()), "{kind:?}");
        }
        let sized = |size_bytes| {
            let mut message = media(kind, formats[0]);
            message.media.as_mut().unwrap().size_bytes = size_bytes;
            message
        };
        taken(&sized(bytes_max));
        assert_eq!(
            refused_as(&sized(bytes_max + 1)),
            (6000214, bytes_max.to_string()),
            "{kind:?}"
        );
    }
    let lasting = |kind, format, duration_ms| {
        let mut message = media(kind, format);
        message.media.as_mut().unwrap().duration_ms = duration_ms;
        message
    };
    taken(&lasting(MessageType::Audio, "mp3", 300_000));
    let too_long = (6000215, "300000".to_owned());
    assert_eq!(refused_as(&lasting(MessageType::Audio, "mp3", 300_001)), too_long);
    taken(&lasting(MessageType::Video, "mp4", u32::MAX));
}

#[test]
fn what_is_said_of_a_file_has_limits() {
    let with = |change: fn(&mut MediaInfo)| {
        let mut message = media(MessageType::File, "pdf");
        change(message.media.as_mut().unwrap());
        message
    };
    taken(&with(|media| media.url = "u".repeat(2048)));
    taken(&with(|media| media.file_name = "f".repeat(256)));
    taken(&with(|media| media.format = "f".repeat(16)));
    let wrong: [fn(&mut MediaInfo); 5] = [
        |media| media.url = String::new(),
        |media| media.url = "u".repeat(2049),
        |media| media.url = "https://x/\r\nHost: y".into(),
        |media| media.file_name = "f".repeat(257),
        |media| media.format = "f".repeat(17),
    ];
    for change in wrong {
        assert_eq!(refused_as(&with(change)), (33003, "media".into()));
    }
}

#[test]
fn of_several_faults_the_first_in_the_order_of_the_checks_is_told() {
    let mut message = SendMessage {
        conversation_type: ConversationType::System.into(),
        target_id: String::new(),
        r#type: 99,
        content: vec![0xff; 6 * 1024].into(),
        object_name: "not with this type".into(),
        priority: 9,
        keep: 9,
        ..SendMessage::default()
    };
    let mends: [Change; 7] = [
        |message| message.conversation_type = ConversationType::Group.into(),
        |message| message.r#type = MessageType::Command.into(),
        |message| message.target_id = "g".into(),
        |message| message.object_name = String::new(),
        |message| message.priority = 0,
        |message| message.content.truncate(5 * 1024),
        |message| message.keep = 0,
    ];
    let mut told = Vec::new();
    for mend in mends {
        told.push(refused_as(&message));
        mend(&mut message);
    }
    let told: Vec<_> = told.iter().map(|(code, detail)| (*code, detail.as_str())).collect();
    let expected = [
        (20109, ""),
        (20606, ""),
        (33003, "target_id"),
        (33003, "object_name"),
        (33003, "priority"),
        (20115, "5120"),
        (33003, "keep"),
    ];
    assert_eq!(told, expected);
    taken(&message);
}

#[test]
fn messages_of_users_alone_are_taken_back_and_changed() {
    let named = |kind: i32, id: &str, message_id| RecallMessage {
        r#type: kind,
        id: id.into(),
        message_id,
    };
    let refused = |command: RecallMessage| {
        let refusal = recall(&command).expect_err("it is refused");
        let edited = EditMessage {
            r#type: command.r#type,
            id: command.id,
            message_id: command.message_id,
            content: Bytes::from_static(b"new"),
            extended_data: String::new(),
        };
        assert_eq!(edit(&edited), Err(refusal.clone()));
        (refusal.code.number(), refusal.detail.into_owned())
    };
    assert_eq!(recall(&named(0, "bob", 1)), Ok(()));
    assert_eq!(refused(named(1, "room", 1)), (25101, String::new()));
    assert_eq!(refused(named(4, "news", 1)), (25101, String::new()));
    assert_eq!(refused(named(9, "bob", 1)), (20606, String::new()));
    assert_eq!(refused(named(0, "", 1)), (33003, "id".into()));
    assert_eq!(refused(named(0, "bob", 0)), (33003, "message_id".into()));
}

#[test]
fn new_content_is_neither_empty_nor_too_large() {
    let changed = |content: usize, extended_data: usize| {
        let command = EditMessage {
            r#type: 2,
            id: "g".into(),
            message_id: 1,
            content: vec![b'x'; content].into(),
            extended_data: "e".repeat(extended_data),
        };
        edit(&command).map_err(|refusal| (refusal.code.number(), refusal.detail.into_owned()))
    };
    assert_eq!(changed(0, 1), Err((33003, "content".into())));
    assert_eq!(changed(32 * 1024 - 1, 1), Ok(()));
    assert_eq!(changed(32 * 1024, 1), Err((20115, "32768".into())));
}

#[test]
fn parts_are_numbered_and_have_a_largest_size() {
    let put = |id: &str, part, bytes: usize| {
        let command = PutCombinedPart {
            combined_id: id.into(),
            part,
            content: vec![0; bytes].into(),
        };
        put_part(&command).map_err(|refusal| (refusal.code.number(), refusal.detail.into_owned()))
    };
    assert_eq!(put("c-1", 1023, 32768), Ok(()));
    assert_eq!(put("", 0, 1), Err((33003, "combined_id".into())));
    assert_eq!(put(&"c".repeat(65), 0, 1), Err((33003, "combined_id".into())));
    assert_eq!(put("c", 1024, 1), Err((33003, "part".into())));
    assert_eq!(put("c", 0, 0), Err((33003, "content".into())));
    assert_eq!(put("c", 0, 32769), Err((20115, "32768".into())));
    let ask = |kind, message_id, from_part| {
        let command = QueryCombined {
            r#type: kind,
            id: "g".into(),
            message_id,
            from_part,
        };
        query_combined(&command).map_err(|refusal| (refusal.code.number(), refusal.detail.into_owned()))
    };
    assert_eq!(ask(2, 1, 1023), Ok(()));
    assert_eq!(ask(2, 0, 0), Err((33003, "message_id".into())));
    assert_eq!(ask(2, 1, 1024), Err((33003, "from_part".into())));
    assert_eq!(ask(1, 1, 0), Err((20606, String::new())));
}

#[test]
fn a_blacklist_is_changed_for_one_to_twenty_users() {
    let listed = |count: usize| {
        let command = EditBlacklist {
            add: true,
            user_ids: vec!["u".into(); count],
        };
        edit_blacklist(&command)
    };
    assert_eq!(listed(0), Err(Refusal::parameter("user_ids")));
    assert_eq!(listed(1), Ok(()));
    assert_eq!(listed(20), Ok(()));
    assert_eq!(listed(21), Err(Refusal::parameter("user_ids")));
    let from = |bytes: usize| {
        query_blacklist(&QueryBlacklist {
            cursor: "c".repeat(bytes),
        })
    };
    assert_eq!(from(256), Ok(()));
    assert_eq!(from(257), Err(Refusal::parameter("cursor")));
}

#[test]
fn the_app_s_server_forwards_nothing_as_one() {
    let of = |message| {
        publish(&Publish {
            as_user: UserId::parse("news", IdProfile::Zim).unwrap(),
            targets: vec!["bob".into()],
            message,
            include_sender: false,
            verify_blacklist: false,
            only_for: Vec::new(),
        })
    };
    let system = SendMessage {
        conversation_type: ConversationType::System.into(),
        target_id: String::new(),
        ..good()
    };
    assert_eq!(of(system), Ok(()));
    assert_eq!(of(of_type(MessageType::Combined, 1)), Err(Refusal::parameter("type")));
    assert_eq!(of(of_type(MessageType::Custom, 0)), Err(Refusal::parameter("content")));
}
