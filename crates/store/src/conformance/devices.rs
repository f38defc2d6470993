//! Devices and names.

use fireside_protocol::{DeviceId, frames::Device, limits::DEVICES_PER_USER_MAX};
use fireside_server_core::storage::{DEVICE_SEEN_STEP_MS, Op, Reply};

use super::{
    Check,
    world::{World, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("devices are kept and forgotten", kept),
    ("the device unused longest makes room", eviction),
    (
        "a log-in is kept to a minute, and what it says at once",
        again,
    ),
    ("names come from the last log-in that had one", names),
];

fn devices(w: &mut World, who: &str) -> Vec<Device> {
    match w.one(Op::Devices(user(who))) {
        Reply::Devices(page) => page.devices,
        other => panic!("devices were answered with {other:?}"),
    }
}

fn kept(w: &mut World) {
    let ann = user("ann");
    assert!(devices(w, "ann").is_empty());
    w.put_device(&ann, 1, "Ann");
    let expected = Device {
        device: DeviceId([1; 16]),
        platform: "linux".to_owned(),
        agent: "agent 1".to_owned(),
        seen: w.now,
        online: false,
    };
    assert_eq!(devices(w, "ann"), [expected]);
    w.put_device(&ann, 2, "Ann");
    w.put_device(&ann, 1, "Ann");
    w.reopen();
    let got = devices(w, "ann");
    assert_eq!(got.len(), 2);
    assert!(
        got.iter()
            .any(|device| device.device.0 == [1; 16] && device.seen == w.now)
    );
    assert!(devices(w, "bob").is_empty());
    let remove = Op::RemoveDevice {
        command: w.command(&ann),
        device: DeviceId([2; 16]),
    };
    assert_eq!(w.one(remove.clone()), Reply::Done);
    assert_eq!(devices(w, "ann").len(), 1);
    w.put_device(&ann, 2, "Ann");
    assert_eq!(w.one(remove), Reply::Done);
    assert_eq!(
        devices(w, "ann").len(),
        2,
        "the repeat of an old command removes nothing"
    );
}

fn eviction(w: &mut World) {
    let ann = user("ann");
    let max = DEVICES_PER_USER_MAX as u8;
    for n in 0..max {
        w.put_device(&ann, n, "");
    }
    w.put_device(&ann, 0, "");
    w.put_device(&ann, max, "");
    let mut got: Vec<u8> = devices(w, "ann")
        .iter()
        .map(|device| device.device.0[0])
        .collect();
    got.sort_unstable();
    let expected: Vec<u8> = (0..=max).filter(|n| *n != 1).collect();
    assert_eq!(got, expected);
}

fn again(w: &mut World) {
    let ann = user("ann");
    w.put_device(&ann, 1, "Ann");
    let first = w.now;
    w.now += DEVICE_SEEN_STEP_MS - 1;
    w.put_device_again(&ann, 1, "Anna");
    let seen = devices(w, "ann")[0].seen;
    assert!(seen == first || seen == w.now, "{seen}");
    let id = w.direct(&ann, &user("bob"));
    assert_eq!(w.member(id, &ann).name, "Anna");
    // Signed out, and back at once: it is there again.
    let remove = Op::RemoveDevice {
        command: w.command(&ann),
        device: DeviceId([1; 16]),
    };
    assert_eq!(w.one(remove), Reply::Done);
    w.put_device_again(&ann, 1, "");
    assert_eq!(devices(w, "ann").len(), 1);
}

fn names(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    assert_eq!(w.member(id, &ann).name, "");
    w.put_device(&ann, 1, "Ann");
    assert_eq!(w.member(id, &ann).name, "Ann");
    w.put_device(&ann, 2, "");
    assert_eq!(
        w.member(id, &ann).name,
        "Ann",
        "an empty name leaves the one before"
    );
    w.put_device(&ann, 1, "Anna");
    w.reopen();
    assert_eq!(w.member(id, &ann).name, "Anna");
}
