//! Who is next: deficit round robin in which whoever was silent goes first (RFC 8290, section 4.1, "DRR++").
//!
//! The same rounds choose among the flows of a lane and among the lanes of a server.

use super::slab::NIL;

/// Where a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// In no list.
    Out,
    /// Among those that were silent before.
    Fresh,
    /// Among those that have had a turn.
    Old,
}

/// A member's part of the lists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    next: u32,
    /// Bytes that it may still send in this turn.
    deficit: i64,
    /// What all had sent when it left.
    left: u64,
    standing: Standing,
}

impl Turn {
    pub(super) const fn new() -> Self {
        Self { next: NIL, deficit: 0, left: 0, standing: Standing::Out }
    }

    /// Whether it is in a list.
    pub(super) fn is_listed(&self) -> bool {
        self.standing != Standing::Out
    }
}

/// Where members are found by their numbers.
pub(super) trait Members {
    /// A member's part of the lists.
    fn turn(&mut self, member: u32) -> &mut Turn;
}

#[derive(Debug, Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

impl List {
    const EMPTY: Self = Self { head: NIL, tail: NIL };

    fn push(&mut self, members: &mut impl Members, member: u32) {
        members.turn(member).next = NIL;
        if self.head == NIL {
            self.head = member;
        } else {
            members.turn(self.tail).next = member;
        }
        self.tail = member;
    }

    fn pop(&mut self, members: &mut impl Members) -> u32 {
        let member = self.head;
        self.head = members.turn(member).next;
        member
    }
}

/// The two lists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    fresh: List,
    old: List,
    /// How many are in the lists.
    listed: u32,
    /// Bytes that all of them sent since the beginning.
    spent: u64,
}

impl Rounds {
    pub(super) const EMPTY: Self = Self { fresh: List::EMPTY, old: List::EMPTY, listed: 0, spent: 0 };

    pub(super) const fn is_empty(&self) -> bool {
        self.fresh.head == NIL && self.old.head == NIL
    }

    /// Takes in one that was silent, with a whole turn.
    pub(super) fn enter(&mut self, members: &mut impl Members, member: u32, quantum: i64) {
        let turn = members.turn(member);
        turn.deficit = quantum;
        turn.standing = Standing::Fresh;
        self.fresh.push(members, member);
        self.listed += 1;
    }

    /// Takes back one that left and is remembered. Meanwhile it has earned what each of the others sent, up to a whole
    /// turn: if that is more than it had sent itself, it goes before them.
    pub(super) fn come_back(&mut self, members: &mut impl Members, member: u32, quantum: i64) {
        let turn = members.turn(member);
        let earned = (self.spent - turn.left) / u64::from(self.listed.max(1));
        turn.deficit = turn.deficit.saturating_add_unsigned(earned).min(quantum);
        if turn.deficit > 0 {
            turn.standing = Standing::Fresh;
            self.fresh.push(members, member);
        } else {
            self.grow_old(members, member);
        }
        self.listed += 1;
    }

    /// Counts bytes that a member sent.
    pub(super) fn spend(&mut self, members: &mut impl Members, member: u32, bytes: u64) {
        members.turn(member).deficit -= bytes.cast_signed();
        self.spent += bytes;
    }

    /// Whose turn it is.
    pub(super) fn head(&mut self, members: &mut impl Members, quantum: i64) -> Option<u32> {
        loop {
            let list = self.foremost();
            let member = list.head;
            if member == NIL {
                return None;
            }
            let turn = members.turn(member);
            if turn.deficit > 0 {
                return Some(member);
            }
            turn.deficit += quantum;
            list.pop(members);
            self.grow_old(members, member);
        }
    }

    /// The one whose turn it is leaves.
    pub(super) fn leave(&mut self, members: &mut impl Members) {
        let member = self.foremost().pop(members);
        let turn = members.turn(member);
        (turn.standing, turn.left) = (Standing::Out, self.spent);
        self.listed -= 1;
    }

    /// The one whose turn it is has nothing to send; whether it left. One that was fresh stays for a round of the
    /// others, so that it does not go before them again and again.
    pub(super) fn rest(&mut self, members: &mut impl Members) -> bool {
        if self.fresh.head == NIL || self.old.head == NIL {
            self.leave(members);
            return true;
        }
        let member = self.fresh.pop(members);
        self.grow_old(members, member);
        false
    }

    /// Calls with every member.
    pub(super) fn each<S: Members>(&self, members: &mut S, mut call: impl FnMut(&mut S, u32)) {
        for list in [self.fresh, self.old] {
            let mut member = list.head;
            while member != NIL {
                call(members, member);
                member = members.turn(member).next;
            }
        }
    }

    fn grow_old(&mut self, members: &mut impl Members, member: u32) {
        members.turn(member).standing = Standing::Old;
        self.old.push(members, member);
    }

    const fn foremost(&mut self) -> &mut List {
        if self.fresh.head == NIL { &mut self.old } else { &mut self.fresh }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Members for Vec<Turn> {
        fn turn(&mut self, member: u32) -> &mut Turn {
            &mut self[member as usize]
        }
    }

    #[test]
    fn shares_bytes_whatever_the_size_of_packets() {
        let (mut members, mut rounds) = (vec![Turn::new(); 3], Rounds::EMPTY);
        (0..3).for_each(|member| rounds.enter(&mut members, member, 1_500));
        let mut sent = [0; 3];

        for _ in 0..100_000 {
            let member = rounds.head(&mut members, 1_500).expect("nobody leaves");
            let size = [60, 1_500, 9_000][member as usize];
            rounds.spend(&mut members, member, size);
            sent[member as usize] += size;
        }

        let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        assert!(most - least <= 2 * 9_000, "{sent:?}");
    }

    #[test]
    fn one_that_leaves_and_comes_back_gets_its_share_and_no_more() {
        // it leaves after each packet, and wants so many packets of a hundred
        for (wants, gets) in [(10, 9..=10), (90, 30..=36)] {
            let (mut members, mut rounds) = (vec![Turn::new(); 3], Rounds::EMPTY);
            (0..3).for_each(|member| rounds.enter(&mut members, member, 3_000));
            let mut sent = 0;
            for number in 0..100_000 {
                if number * wants % 100 < wants && !members[0].is_listed() {
                    rounds.come_back(&mut members, 0, 3_000);
                }
                let mut member = rounds.head(&mut members, 3_000).unwrap();
                if member == 0 {
                    rounds.spend(&mut members, 0, 1_500);
                    sent += 1;
                    member = rounds.head(&mut members, 3_000).unwrap();
                    if member == 0 {
                        rounds.leave(&mut members);
                    }
                } else {
                    rounds.spend(&mut members, member, 1_500);
                }
            }
            assert!(gets.contains(&(sent / 1_000)), "{wants}: {sent}");
        }
    }

    #[test]
    fn one_that_was_silent_goes_first_but_not_twice() {
        let (mut members, mut rounds) = (vec![Turn::new(); 2], Rounds::EMPTY);
        rounds.enter(&mut members, 0, 1_500);
        rounds.spend(&mut members, 0, 2_000);
        assert_eq!(rounds.head(&mut members, 1_500), Some(0));

        rounds.enter(&mut members, 1, 1_500);
        assert_eq!(rounds.head(&mut members, 1_500), Some(1));
        assert!(!rounds.rest(&mut members));
        assert!(members[1].is_listed());
        assert_eq!(rounds.head(&mut members, 1_500), Some(0));
        rounds.leave(&mut members);
        assert!(rounds.rest(&mut members));
        assert!(rounds.is_empty());
    }
}
