//! Carries out orders.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use super::figures::{Churned, Figures, Pinged, Risen, TICK_MS};
use super::ledger::Delays;
use super::link::{Buffers, Connector};
use super::lost::Lost;
use super::member::{Arrival, ENTER, Member, churn_frames};
use super::{Departures, Order, Said, Stage, Task};
use crate::bench_error::BenchError;
use crate::child::report;
use crate::latencies::Latencies;
use crate::messages::{Entry, Report};
use crate::monotonic::now_ns;
use crate::receiver::{CONNECTING_MAX, Hello, user_id};
use crate::schedule::{Dice, Pace};
use crate::stamp::Stamp;

/// How often members who ping or move in turn are looked after: what is due goes out together.
const TURN: Duration = Duration::from_millis(1);

/// How long answers and messages may still arrive when the last was sent: a room of thousands in which all have fallen behind as far as
/// they may gets tens of gigabytes. Less than the plan waits.
const LAST_ANSWERS: Duration = Duration::from_secs(150);

/// Obeys until the plan is gone.
pub(super) async fn conduct(task: Task, mut orders: UnboundedReceiver<Order>) -> Result<(), BenchError> {
    let (lost, mut first_lost) = mpsc::unbounded_channel();
    let crowd = Rc::new(Crowd::new(task, lost)?);
    loop {
        let obeying = async {
            let order = orders.recv().await.expect("the process ends before its orders do");
            crowd.obey(order).await
        };
        let said = tokio::select! {
            biased;
            Some(lost) = first_lost.recv() => Err(lost),
            said = obeying => said,
        };
        let said = said.map_err(|what| BenchError::peer("a member's server", what))?;
        report(&Report::Crowd(said));
    }
}

struct Crowd {
    hello: Hello,
    bare: bool,
    content_bytes: usize,
    room: String,
    connector: Connector,
    first_member: usize,
    members: Vec<Rc<Member>>,
    buffers: RefCell<Buffers>,
    dice: RefCell<Dice>,
    /// Where all are going.
    goal: Cell<Stage>,
    persistent: Cell<bool>,
    /// Members who are there.
    arrived: Cell<usize>,
    /// What the order under way counts.
    counts: RefCell<Counts>,
    /// Told when `arrived` or a count that an order waits for changes.
    changed: Notify,
    /// Hears of faults that no order asked for.
    lost: mpsc::UnboundedSender<String>,
}

#[derive(Default)]
struct Counts {
    order_ns: u64,
    logins: Vec<u32>,
    login_latencies: Option<Latencies>,
    failures: BTreeMap<String, u64>,
    delays: Delays,
    /// Sums of all accounts when the figures began.
    begun: Sums,
    /// The message that members are waited for to have, and how many have it not.
    settling: Option<(u64, usize)>,
    pongs: Option<Latencies>,
    joins: u64,
    leaves: u64,
    refused: BTreeMap<String, u64>,
}

#[derive(Default, Clone, Copy)]
struct Sums {
    delivered: u64,
    missed: u64,
    slow_delivered: u64,
    slow_missed: u64,
    slow_gaps: u64,
}

impl Crowd {
    fn new(task: Task, lost: mpsc::UnboundedSender<String>) -> Result<Self, BenchError> {
        Ok(Self {
            hello: Hello::new(&task.room, &task.entry),
            bare: matches!(task.entry, Entry::Bare),
            content_bytes: task.content_bytes,
            connector: Connector::new(&task)?,
            first_member: task.first_member,
            members: (0..task.members)
                .map(|number| Rc::new(Member::new(number, is_slow(number, task.slow, task.members))))
                .collect(),
            buffers: RefCell::new(Buffers::new()),
            dice: RefCell::new(Dice::new(task.first_member as u64)),
            goal: Cell::new(Stage::Away),
            persistent: Cell::default(),
            arrived: Cell::default(),
            counts: RefCell::default(),
            changed: Notify::new(),
            lost,
            room: task.room,
        })
    }

    async fn obey(self: &Rc<Self>, order: Order) -> Result<Said, String> {
        Ok(match order {
            Order::Rise {
                to,
                departures,
                persistent,
            } => Said::Risen(self.rise(to, departures, persistent).await?),
            Order::Fall => {
                self.fall().await;
                Said::Done
            }
            Order::Begin { first_number, messages } => {
                let steady = self.members.iter().filter(|member| !member.slow).count();
                let begun = self.sums();
                let mut counts = self.counts.borrow_mut();
                counts.delays = Delays::expect(first_number, messages, steady);
                counts.begun = begun;
                Said::Done
            }
            Order::Sleep => {
                self.slow_members().for_each(|member| member.asleep.set(true));
                Said::Done
            }
            Order::Wake => {
                for member in self.slow_members() {
                    member.asleep.set(false);
                    member.woken.notify_one();
                }
                Said::Done
            }
            Order::Settle { sequence, lossless } => Said::Settled(self.settle(sequence, lossless).await?),
            Order::Ping { pace, count } => Said::Pinged(self.ping(pace, count).await?),
            Order::Churn { pace, count } => Said::Churned(self.churn(pace, count).await?),
        })
    }

    async fn rise(self: &Rc<Self>, to: Stage, departures: Departures, persistent: bool) -> Result<Risen, String> {
        self.goal.set(to);
        self.persistent.set(persistent);
        self.arrived.set(0);
        let order_ns = now_ns();
        {
            let mut counts = self.counts.borrow_mut();
            counts.order_ns = order_ns;
            counts.logins.clear();
            counts.login_latencies = Some(Latencies::new());
            counts.failures.clear();
        }
        let places = Arc::new(Semaphore::new(CONNECTING_MAX));
        let start = Instant::now();
        for (position, member) in self.members.iter().enumerate() {
            let mut departure = None;
            match departures {
                Departures::InTurn => {
                    let place = places.clone().acquire_owned().await.expect("nobody closes it");
                    member.permit.replace(Some(place));
                }
                Departures::Paced(pace) => {
                    let intended_ns = pace.intended_ns(position as u64);
                    sleep(Duration::from_nanos(intended_ns.saturating_sub(now_ns()))).await;
                }
                Departures::Scattered { window_ms } => {
                    let wait = self.dice.borrow_mut().next_within(Duration::from_millis(window_ms));
                    departure = Some(start + wait);
                }
            }
            if member.stage.get() == Stage::Away {
                let living = self.clone().live(member.clone(), departure);
                member.task.replace(Some(tokio::task::spawn_local(living)));
            } else {
                member.departed_ns.set(now_ns());
                self.advance(member).map_err(|lost| self.of_member(member, &lost))?;
            }
        }
        while self.arrived.get() < self.members.len() {
            self.changed.notified().await;
        }
        let mut counts = self.counts.borrow_mut();
        Ok(Risen {
            seconds: (now_ns() - order_ns) as f64 / 1e9,
            logins: std::mem::take(&mut counts.logins),
            login_latencies: counts.login_latencies.take().expect("it was set above"),
            failures: std::mem::take(&mut counts.failures),
        })
    }

    async fn fall(&self) {
        self.goal.set(Stage::Away);
        let tasks: Vec<_> = self.members.iter().filter_map(|member| member.task.take()).collect();
        tasks.iter().for_each(|task| task.abort());
        for task in tasks {
            // Cancelled, which is what was wanted.
            let _ = task.await;
        }
        self.members.iter().for_each(|member| member.reset());
    }

    /// A member's task: connects, and does its part until told otherwise.
    async fn live(self: Rc<Self>, member: Rc<Member>, departure: Option<Instant>) {
        if let Some(departure) = departure {
            sleep_until(departure).await;
        }
        member.departed_ns.set(now_ns());
        let mut failed = 0;
        loop {
            let lost = match self.attempt(&member).await {
                Err(lost) => lost,
                Ok(never) => match never {},
            };
            let had_arrived = member.stage.get() >= self.goal.get();
            member.reset();
            if had_arrived || !self.persistent.get() {
                // Whoever is gone first has said why.
                let _ = self.lost.send(self.of_member(&member, &lost));
                return;
            }
            *self.counts.borrow_mut().failures.entry(lost.to_string()).or_default() += 1;
            failed += 1;
            let wait = self.dice.borrow_mut().next_back_off(failed, lost.advised());
            sleep(wait).await;
        }
    }

    /// One connection from its beginning to its end.
    async fn attempt(&self, member: &Rc<Member>) -> Result<std::convert::Infallible, Lost> {
        let (outlet, mut inlet) = self.connector.open(member.number, member.slow).await?;
        member.outlet.replace(Some(outlet));
        member.stage.set(Stage::Connected);
        self.advance(member)?;
        loop {
            while member.asleep.get() {
                member.woken.notified().await;
            }
            inlet
                .read(&self.buffers, &member.asleep, |bytes| {
                    member.take(bytes, |arrival| self.handle(member, arrival))
                })
                .await?;
        }
    }

    /// Does what brings a member to the next stage, or counts it as arrived.
    fn advance(&self, member: &Member) -> Result<(), Lost> {
        let stage = member.stage.get();
        if stage >= self.goal.get() {
            self.arrived.set(self.arrived.get() + 1);
            member.permit.take();
            self.changed.notify_one();
            return Ok(());
        }
        if stage == Stage::Connected && !self.bare {
            member.send(&self.hello.login(&user_id(self.first_member + member.number)))
        } else {
            member.send(&self.hello.enter(ENTER))
        }
    }

    fn handle(&self, member: &Member, arrival: Arrival<'_>) -> Result<(), Lost> {
        match arrival {
            Arrival::Message(body) => {
                let mut counts = self.counts.borrow_mut();
                if counts.delays.are_expected()
                    && !member.slow
                    && let Some(stamp) = Stamp::of(body, self.content_bytes)
                {
                    counts.delays.record(stamp, now_ns());
                }
                self.see_settled(member, &mut counts)
            }
            Arrival::Gap => self.see_settled(member, &mut self.counts.borrow_mut()),
            Arrival::Stage(stage) => {
                if stage == Stage::LoggedIn {
                    let now_ns = now_ns();
                    let mut counts = self.counts.borrow_mut();
                    let tick = ((now_ns - counts.order_ns) / (TICK_MS * 1_000_000)) as usize;
                    if counts.logins.len() <= tick {
                        counts.logins.resize(tick + 1, 0);
                    }
                    counts.logins[tick] += 1;
                    if let Some(latencies) = &mut counts.login_latencies {
                        latencies.record(now_ns - member.departed_ns.get());
                    }
                }
                self.advance(member)
            }
            Arrival::Pong(delay_ns) => {
                if let Some(latencies) = &mut self.counts.borrow_mut().pongs {
                    latencies.record(delay_ns);
                }
                self.changed.notify_one();
                Ok(())
            }
            Arrival::Moved { entered, code } => {
                let mut counts = self.counts.borrow_mut();
                match (entered, code) {
                    (true, 0) => counts.joins += 1,
                    (false, 0) => counts.leaves += 1,
                    (_, code) => *counts.refused.entry(code.to_string()).or_default() += 1,
                }
                self.changed.notify_one();
                Ok(())
            }
        }
    }

    fn see_settled(&self, member: &Member, counts: &mut Counts) -> Result<(), Lost> {
        if let Some((sequence, waiting)) = &mut counts.settling
            && !member.asleep.get()
            && member.account.get().is_settled(*sequence)?
        {
            *waiting -= 1;
            if *waiting == 0 {
                self.changed.notify_one();
            }
        }
        Ok(())
    }

    async fn settle(&self, sequence: u64, lossless: bool) -> Result<Figures, String> {
        let mut waiting = 0;
        for member in self.members.iter().filter(|member| !member.asleep.get()) {
            let settled = member.account.get().is_settled(sequence);
            waiting += usize::from(!settled.map_err(|lost| self.of_member(member, &lost))?);
        }
        self.counts.borrow_mut().settling = Some((sequence, waiting));
        self.wait_for(|| self.counts.borrow().settling.is_none_or(|(_, waiting)| waiting == 0))
            .await;
        self.find_unsettled(sequence)?;
        let sums = self.sums();
        let mut counts = self.counts.borrow_mut();
        counts.settling = None;
        let begun = counts.begun;
        let (messages, every) = counts.delays.take();
        let figures = Figures {
            delivered: sums.delivered - begun.delivered,
            missed: sums.missed - begun.missed,
            slow_delivered: sums.slow_delivered - begun.slow_delivered,
            slow_missed: sums.slow_missed - begun.slow_missed,
            slow_gaps: sums.slow_gaps - begun.slow_gaps,
            messages,
            every,
        };
        if lossless && figures.missed > 0 {
            return Err(format!(
                "members who always read were told of {} messages that they missed: this load is more than they or the server \
                 can take",
                figures.missed
            ));
        }
        Ok(figures)
    }

    /// Names a member for whom delivered and missed do not make up what was published.
    fn find_unsettled(&self, sequence: u64) -> Result<(), String> {
        for member in self.members.iter().filter(|member| !member.asleep.get()) {
            let account = member.account.get();
            let settled = account.is_settled(sequence);
            if !settled.map_err(|lost| self.of_member(member, &lost))? {
                let (delivered, missed) = (account.delivered(), account.missed());
                return Err(format!(
                    "member {}: {delivered} delivered and {missed} told as missed, and then nothing, of messages up to \
                     {sequence}",
                    self.first_member + member.number
                ));
            }
        }
        Ok(())
    }

    async fn ping(&self, pace: Pace, count: u64) -> Result<Pinged, String> {
        self.counts.borrow_mut().pongs = Some(Latencies::new());
        let sent = self.take_turns(pace, count, |member| member.ping()).await?;
        self.wait_for(|| self.members.iter().all(|member| !member.is_pinging()))
            .await;
        let latencies = self.counts.borrow_mut().pongs.take().expect("it was set above");
        Ok(Pinged {
            sent,
            answered: latencies.count(),
            latencies,
        })
    }

    async fn churn(&self, pace: Pace, count: u64) -> Result<Churned, String> {
        {
            let mut counts = self.counts.borrow_mut();
            (counts.joins, counts.leaves) = (0, 0);
            counts.refused.clear();
        }
        let (enter, leave) = churn_frames(&self.hello, &self.room);
        let sent = self
            .take_turns(pace, count, |member| member.churn(&enter, &leave))
            .await?;
        self.wait_for(|| self.members.iter().all(|member| !member.is_moving()))
            .await;
        let mut counts = self.counts.borrow_mut();
        Ok(Churned {
            seconds: now_ns().saturating_sub(pace.start_ns) as f64 / 1e9,
            joins: counts.joins,
            leaves: counts.leaves,
            passed_over: count - sent,
            refused: std::mem::take(&mut counts.refused),
        })
    }

    /// Gives members their turn at the times of `pace`. Returns how many could take it.
    async fn take_turns(
        &self,
        pace: Pace,
        count: u64,
        turn: impl Fn(&Member) -> Result<bool, Lost>,
    ) -> Result<u64, String> {
        let (mut given, mut taken) = (0, 0);
        while given < count {
            let due = pace.due(now_ns()).min(count);
            for number in given..due {
                let member = &self.members[number as usize % self.members.len()];
                taken += u64::from(turn(member).map_err(|lost| self.of_member(member, &lost))?);
            }
            given = given.max(due);
            sleep(TURN).await;
        }
        Ok(taken)
    }

    /// Waits until `done`, but not for ever: what is not answered by then is not answered.
    async fn wait_for(&self, done: impl Fn() -> bool) {
        let waiting = async {
            while !done() {
                self.changed.notified().await;
            }
        };
        // Either way the counts say how it ended.
        let _ = tokio::time::timeout(LAST_ANSWERS, waiting).await;
    }

    fn sums(&self) -> Sums {
        self.members.iter().fold(Sums::default(), |mut sums, member| {
            let account = member.account.get();
            if member.slow {
                sums.slow_delivered += account.delivered();
                sums.slow_missed += account.missed();
                sums.slow_gaps += account.gaps();
            } else {
                sums.delivered += account.delivered();
                sums.missed += account.missed();
            }
            sums
        })
    }

    fn slow_members(&self) -> impl Iterator<Item = &Rc<Member>> {
        self.members.iter().filter(|member| member.slow)
    }

    fn of_member(&self, member: &Member, lost: &Lost) -> String {
        format!("member {}: {lost}", self.first_member + member.number)
    }
}

/// Whether this member is one of the `slow` of `members`: spread evenly, each in the middle of its share, so that none is the
/// first or last of a sweep by rule.
fn is_slow(number: usize, slow: usize, members: usize) -> bool {
    let until = |number: usize| (number * slow + members / 2) / members;
    until(number + 1) > until(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_members_are_as_many_as_asked_for_and_spread_evenly() {
        for (slow, members) in [(0, 10), (1, 10), (5, 100), (450, 9_000), (99, 100), (7, 7)] {
            let numbers: Vec<_> = (0..members).filter(|number| is_slow(*number, slow, members)).collect();
            assert_eq!(numbers.len(), slow, "of {members}");
            let share = members.checked_div(slow).unwrap_or(members);
            assert!(
                numbers
                    .windows(2)
                    .all(|pair| (share..=share + 1).contains(&(pair[1] - pair[0]))),
                "{slow} of {members}"
            );
        }
        assert!(!is_slow(0, 450, 9_000) && !is_slow(8_999, 450, 9_000));
    }
}
