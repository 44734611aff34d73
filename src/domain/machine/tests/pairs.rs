//! Every action by every role on every standing of an order, against a table of its own: it is
//! written by column where the machine's is written by rule, so that each can catch the other.

use jiff::{SignedDuration, Timestamp};

use super::{Scene, actor, courier, courier_id, draft, proofs, start_of_test, why};
use crate::domain::machine::Judgement;
use crate::domain::{
    Action, Ask, Command, Driver, Duty, Fulfilment, Leg, Notice, Offer, OfferId, OfferState, Order,
    Promise, ProofKind, ProofPoint, Reason, ReasonCode, Refusal, Role, Search, Status, Word,
};

/// Who does what at all. Letters: Customer, Store, Driver, Ops, Platform, sYstem.
const EVER: &str = "
    release OPY   accept SOPY   reject SOY    start SOPY    ready SOP      unready SO    prep SO
    pickup SDO    deliver SDO   collect CSO   cancel CSOP   fail DO        return DO
    returned SDO  redeliver OP  update OP     search OPY    search_failed OY
    assign OP     unassign OPY  drop D        at_store D    at_door D      next_round Y
    accept_offer D              decline_offer D              route DOP      eta DP
    watch Y       late Y        note SDOP     erase P        add_proof SDO";

const DELIVERY_WITHOUT_COURIER: &str = "
    -          scheduled/none  placed/none  accepted/none  preparing/none  ready/none
    release    OPY             .            .              .               .
    accept     SOPY            SOPY         .              .               .
    reject     .               SOY          .              .               .
    start      .               .            SOPY           .               .
    ready      .               .            SOP            SOP             .
    unready    .               .            .              .               SO
    prep       .               .            SO             SO              .
    cancel     CSOP            COP          CSOP           CSOP            CSOP
    update     OP              OP           OP             OP              OP
    search     .               .            OPY            OPY             OPY
    assign     .               OP           OP             OP              OP
    late       .               Y            Y              Y               Y
    eta        .               .            P              P               P
    note       SOP             SOP          SOP            SOP             SOP
    add_proof  .  .  O  O  O";

const DELIVERY_SEARCHING: &str = "
    -              accepted/offering  preparing/offering  ready/offering
    start          SOPY               .                   .
    ready          SOP                SOP                 .
    unready        .                  .                   SO
    prep           SO                 SO                  .
    cancel         CSOP               CSOP                CSOP
    update         OP                 OP                  OP
    search_failed  OY                 OY                  OY
    assign         OP                 OP                  OP
    next_round     Y                  Y                   Y
    accept_offer   D                  D                   D
    decline_offer  D                  D                   D
    late           Y                  Y                   Y
    eta            P                  P                   P
    note           SOP                SOP                 SOP
    add_proof  O  O  O";

const DELIVERY_ASSIGNED: &str = "
    -         placed/assigned  accepted/assigned  preparing/assigned  ready/assigned
    accept    SOPY             .                  .                   .
    reject    SOY              .                  .                   .
    start     .                SOPY               .                   .
    ready     .                SOP                SOP                 .
    unready   .                .                  .                   SO
    prep      .                SO                 SO                  .
    pickup    .                DO                 DO                  DO
    cancel    COP              CSOP               CSOP                CSOP
    update    OP               OP                 OP                  OP
    assign    OP               OP                 OP                  OP
    unassign  OPY              OPY                OPY                 OPY
    drop      D                D                  D                   D
    at_store  D                D                  D                   D
    route     DOP              DOP                DOP                 DOP
    watch     Y                Y                  Y                   Y
    late      Y                Y                  Y                   Y
    eta       .                DP                 DP                  DP
    note      SDOP             SDOP               SDOP                SDOP
    add_proof  .  DO  DO  DO";

const DELIVERY_AT_STORE: &str = "
    -         placed/at_store  accepted/at_store  preparing/at_store  ready/at_store
    accept    SOPY             .                  .                   .
    reject    SOY              .                  .                   .
    start     .                SOPY               .                   .
    ready     .                SOP                SOP                 .
    unready   .                .                  .                   SO
    prep      .                SO                 SO                  .
    pickup    .                DO                 DO                  DO
    cancel    COP              CSOP               CSOP                CSOP
    update    OP               OP                 OP                  OP
    assign    OP               OP                 OP                  OP
    unassign  OPY              OPY                OPY                 OPY
    drop      D                D                  D                   D
    route     DOP              DOP                DOP                 DOP
    watch     Y                Y                  Y                   Y
    late      Y                Y                  Y                   Y
    eta       .                DP                 DP                  DP
    note      SDOP             SDOP               SDOP                SDOP
    add_proof  .  DO  DO  DO";

const DELIVERY_GONE: &str = "
    -          picked_up/en_route  picked_up/at_door  returning/en_route
    deliver    DO                  DO                 .
    fail       DO                  DO                 O
    return     DO                  DO                 .
    returned   .                   .                  SDO
    redeliver  .                   .                  OP
    update     OP                  OP                 OP
    assign     O                   O                  O
    at_door    D                   .                  .
    route      DOP                 DOP                DOP
    watch      Y                   Y                  .
    late       Y                   Y                  .
    eta        DP                  DP                 .
    note       SDOP                SDOP               SDOP
    add_proof  DO  DO  SDO";

const STORE_DELIVERY: &str = "
    -       scheduled/none  placed/none  accepted/none  preparing/none  ready/none
    release    OPY             .            .              .               .
    accept     SOPY            SOPY         .              .               .
    reject     .               SOY          .              .               .
    start      .               .            SOPY           .               .
    ready      .               .            SOP            SOP             .
    unready    .               .            .              .               SO
    prep       .               .            SO             SO              .
    pickup     .               .            SO             SO              SO
    cancel     CSOP            COP          CSOP           CSOP            CSOP
    update     OP              OP           OP             OP              OP
    late       .               Y            Y              Y               Y
    eta        .               .            P              P               P
    note       SOP             SOP          SOP            SOP             SOP
    add_proof  .  .  SO  SO  SO";

const STORE_DELIVERY_GONE: &str = "
    -          picked_up/none  returning/none
    deliver    SO              .
    fail       O               O
    return     O               .
    returned   .               SO
    redeliver  .               OP
    update     OP              OP
    late       Y               .
    eta        P               .
    note       SOP             SOP
    add_proof  SO  SO";

const COLLECTION: &str = "
    -       scheduled/none  placed/none  accepted/none  preparing/none  ready/none
    release    OPY             .            .              .               .
    accept     SOPY            SOPY         .              .               .
    reject     .               SOY          .              .               .
    start      .               .            SOPY           .               .
    ready      .               .            SOP            SOP             .
    unready    .               .            .              .               SO
    prep       .               .            SO             SO              .
    collect    .               .            .              .               CSO
    cancel     CSOP            COP          CSOP           CSOP            CSOP
    update     OP              OP           OP             OP              OP
    late       .               Y            Y              Y               Y
    note       SOP             SOP          SOP            SOP             SOP
    add_proof  .  .  .  .  SO";

/// Nobody does anything any more, but remark, prove, and forget whom it was for.
const ENDED: &str = "
    -      delivered/closed  rejected/closed  cancelled/closed  failed/closed  returned/closed
    note   SDOP              SDOP             SDOP              SDOP           SDOP
    erase  P                 P                P                 P              P
    add_proof  DO  .  .  DO  SDO";

/// The same of what the store brings.
const STORE_DELIVERY_ENDED: &str = "
    -      delivered/closed  rejected/closed  cancelled/closed  failed/closed  returned/closed
    note   SOP               SOP              SOP               SOP            SOP
    erase  P                 P                P                 P              P
    add_proof  SO  .  .  SO  SO";

/// The same of what is collected.
const COLLECTION_ENDED: &str = "
    -      delivered/closed  rejected/closed  cancelled/closed  failed/closed  returned/closed
    note   SOP               SOP              SOP               SOP            SOP
    erase  P                 P                P                 P              P
    add_proof  SO  .  .  .  .";

const TABLES: &[(Fulfilment, &[&str])] = &[
    (
        Fulfilment::Delivery,
        &[
            DELIVERY_WITHOUT_COURIER,
            DELIVERY_SEARCHING,
            DELIVERY_ASSIGNED,
            DELIVERY_AT_STORE,
            DELIVERY_GONE,
            ENDED,
        ],
    ),
    (Fulfilment::StoreDelivery, &[STORE_DELIVERY, STORE_DELIVERY_GONE, STORE_DELIVERY_ENDED]),
    (Fulfilment::Collection, &[COLLECTION, COLLECTION_ENDED]),
];

const fn letter(role: Role) -> char {
    match role {
        Role::Customer => 'C',
        Role::Store => 'S',
        Role::Driver => 'D',
        Role::Ops => 'O',
        Role::Platform => 'P',
        Role::System => 'Y',
    }
}

/// The letters for one action in one column of a table; an action without a line has none.
fn cell(table: &str, action: Action, column: usize) -> &str {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(action.word()));
    line.and_then(|line| line.split_whitespace().nth(column + 1)).unwrap_or(".")
}

fn columns(table: &str) -> Vec<(Status, Leg)> {
    let header = table.lines().find(|line| line.trim_start().starts_with('-')).unwrap();
    let parse = |name: &str| {
        let (status, leg) = name.split_once('/').unwrap();
        (Status::find(status).unwrap(), Leg::find(leg).unwrap())
    };
    header.split_whitespace().skip(1).map(parse).collect()
}

fn does_ever(action: Action, role: Role) -> bool {
    let mut words = EVER.split_whitespace();
    words.find(|word| *word == action.word()).unwrap();
    words.next().unwrap().contains(letter(role))
}

/// An order that stands there, put there by nobody who acts in these tests.
fn standing(fulfilment: Fulfilment, status: Status, leg: Leg) -> Scene {
    let mut scene = Scene::of(draft(fulfilment));
    scene.store.auto_accept = true;
    scene.rules.customer_cancel_until = Status::Ready;
    scene.driver = Some((courier(2), 0));
    let now = start_of_test();
    let has_driver = leg.has_driver() || (leg == Leg::Closed && fulfilment == Fulfilment::Delivery);
    scene.order = Order {
        status,
        leg,
        driver: has_driver.then(|| courier_id(1)),
        accept_by: Some(now),
        ready_eta: Some(now),
        prep_min: Some(20),
        status_by: crate::domain::Actor { role: Role::Ops, id: "another".to_owned() },
        reason: Some(Reason { code: ReasonCode::Refused, by: Role::Ops, note: None }),
        dropoff_eta_hi: Some(now),
        search: Search { since: Some(now), round: 1, until: Some(now), ..Search::default() },
        told: vec![Notice::Silence],
        ..scene.order
    };
    // The courier who has it went off duty long ago, and has been asked if nobody has it.
    scene.order.stamps.placed = Some(now);
    scene.courier = Some(Driver { duty: Duty::Off, ..courier(1) });
    scene.now += SignedDuration::from_mins(5);
    scene.order.accept_by = Some(scene.now);
    scene.order.ready_eta = Some(scene.now);
    if has_driver {
        scene.order.stamps.assigned = Some(now);
    }
    scene.candidates = Some(vec![]);
    if leg == Leg::Offering {
        scene.offers = vec![offer_to(1, scene.now)];
    }
    scene
}

fn the_offer() -> OfferId {
    super::id(500)
}

/// Courier so and so is asked, since the start of the test.
fn offer_to(number: u128, now: Timestamp) -> Offer {
    Offer {
        id: the_offer(),
        order: super::id(3),
        driver: courier_id(number),
        since: start_of_test(),
        round: 1,
        state: OfferState::Pending,
        sent_at: now,
        expires_at: now + SignedDuration::from_secs(30),
        closed_at: None,
        distance_m: None,
    }
}

/// The action with a body that passes every guard.
fn command(action: Action, by: Role, status: Status, fulfilment: Fulfilment) -> Command {
    let pin = Some(super::PIN.to_owned());
    match action {
        Action::Release => Command::Release,
        Action::Accept => Command::Accept { prep_min: None },
        Action::Reject if by == Role::System => {
            Command::Reject { reason: why(ReasonCode::NoResponse) }
        }
        Action::Reject => Command::Reject { reason: why(ReasonCode::TooBusy) },
        Action::Start => Command::Start,
        Action::Ready => Command::Ready,
        Action::Unready => Command::Unready,
        Action::Prep => Command::Prep { prep_min: 30, why: None },
        Action::Pickup => Command::Pickup { proofs: vec![] },
        Action::Deliver => Command::Deliver { pin, proofs: vec![] },
        Action::Collect => Command::Collect { pin, proofs: vec![] },
        Action::Cancel if by == Role::Store => Command::Cancel { reason: why(ReasonCode::Closed) },
        Action::Cancel => Command::Cancel { reason: why(ReasonCode::CustomerRequest) },
        Action::Fail => Command::Fail { reason: why(ReasonCode::Lost) },
        Action::Return => Command::Return { reason: why(ReasonCode::Refused) },
        Action::Returned => Command::Returned { proofs: vec![] },
        Action::Redeliver => Command::Redeliver,
        Action::Update => Command::Update(Box::new(crate::domain::Patch {
            note: Some(Some("no onions".to_owned())),
            ..Default::default()
        })),
        Action::Search => Command::Search(Ask::default()),
        Action::SearchFailed => Command::SearchFailed,
        Action::Assign => Command::Assign { driver: courier_id(2) },
        Action::Unassign => Command::Unassign { reason: why(ReasonCode::Vehicle) },
        Action::Drop => Command::Drop { reason: why(ReasonCode::Vehicle) },
        Action::AtStore => Command::AtStore,
        Action::AtDoor => Command::AtDoor,
        Action::NextRound => Command::NextRound,
        Action::AcceptOffer => Command::AcceptOffer { offer: the_offer() },
        Action::DeclineOffer => Command::DeclineOffer { offer: the_offer() },
        Action::Route => Command::Route { batch: super::id(600), seq: 1, before: 0 },
        Action::Eta => Command::Eta(Promise {
            dropoff: Some(start_of_test() + SignedDuration::from_hours(1)),
            ..Promise::default()
        }),
        Action::Watch => Command::Watch,
        Action::Late if status == Status::Placed => Command::Late(Notice::Accept),
        Action::Late => Command::Late(Notice::Delivery),
        Action::Note => Command::Note { text: "the bell is broken".to_owned() },
        Action::Erase => Command::Erase,
        Action::AddProof => {
            let point = match (fulfilment, by) {
                (Fulfilment::Collection, _) => ProofPoint::Dropoff,
                (Fulfilment::Delivery, Role::Store) => ProofPoint::Return,
                _ => ProofPoint::Pickup,
            };
            proofs::upload(point, ProofKind::Photo, "a picture")
        }
    }
}

/// What the machine must say where the table says no.
fn expected_no(order: &Order, action: Action, role: Role) -> Judgement {
    let has_left = ["picked_up", "delivered", "failed", "returning", "returned"];
    let already = [(Action::AtStore, Leg::AtStore), (Action::AtDoor, Leg::AtDoor)];
    if role == Role::Driver && order.driver.is_none() {
        return Judgement::Refused(Refusal::NotFound);
    }
    if !does_ever(action, role) {
        return Judgement::Refused(Refusal::RoleNotAllowed);
    }
    // Nothing has followed from where the courier is.
    if already.contains(&(action, order.leg)) {
        return Judgement::Repeated;
    }
    if action == Action::Cancel && has_left.contains(&order.status.word()) {
        return Judgement::Refused(Refusal::AlreadyPickedUp);
    }
    Judgement::Refused(Refusal::InvalidTransition)
}

#[test]
fn every_action_of_every_role_is_judged_as_the_table_says() {
    let mut judged = 0;
    for (fulfilment, tables) in TABLES {
        for table in *tables {
            for (column, (status, leg)) in columns(table).into_iter().enumerate() {
                let scene = standing(*fulfilment, status, leg);
                for role in Role::ALL {
                    let by = actor(*role);
                    let allowed = scene.order.allowed(&by);
                    for action in Action::ALL {
                        let case = format!("{role} {action}: {fulfilment} {status}/{leg}");
                        let may = cell(table, *action, column).contains(letter(*role));
                        let mut scene = scene.clone();
                        if *action == Action::AcceptOffer {
                            scene.driver = Some((courier(1), 0));
                        }
                        let command = command(*action, *role, status, *fulfilment);
                        let judgement = scene.judge_by(&by, &command);
                        let accepted = matches!(judgement, Judgement::Accepted(_));
                        assert_eq!(accepted, may, "{case}: {judgement:?}");
                        // Whoever is asked hears it with the offer, and not with the order.
                        let elsewhere =
                            [Action::AcceptOffer, Action::DeclineOffer].contains(action);
                        let told = may && !elsewhere;
                        assert_eq!(allowed.contains(action), told, "{case}: {allowed:?}");
                        if !may {
                            assert_eq!(
                                judgement,
                                expected_no(&scene.order, *action, *role),
                                "{case}"
                            );
                        }
                        judged += 1;
                    }
                }
            }
        }
    }
    assert_eq!(judged, (24 + 12 + 10) * 6 * 33);
}

#[test]
fn the_tables_name_only_actions_and_standings_that_exist() {
    let tables = || TABLES.iter().flat_map(|(_, tables)| tables.iter().copied());
    for line in tables().flat_map(str::lines).filter(|line| !line.trim().is_empty()) {
        let first = line.split_whitespace().next().unwrap();
        assert!(first == "-" || Action::find(first).is_ok(), "{line}");
    }
    for table in tables() {
        let width = columns(table).len() + 1;
        for line in table.lines().filter(|line| !line.trim().is_empty()) {
            assert_eq!(line.split_whitespace().count(), width, "{line}");
        }
    }
    for status in Status::ALL {
        assert!(tables().flat_map(columns).any(|(known, _)| known == *status), "{status}");
    }
}

#[test]
fn what_cannot_go_back_is_not_offered_to() {
    let mut scene = standing(Fulfilment::Delivery, Status::PickedUp, Leg::EnRoute);
    let by = actor(Role::Driver);
    assert!(scene.order.allowed(&by).contains(&Action::Return));
    scene.order.undeliverable = crate::domain::Undeliverable::Leave;
    assert!(!scene.order.allowed(&by).contains(&Action::Return));
    let command = command(Action::Return, Role::Driver, Status::PickedUp, Fulfilment::Delivery);
    assert_eq!(scene.refused(Role::Driver, command), Refusal::InvalidTransition);
}

#[test]
fn a_stranger_is_allowed_nothing() {
    let scene = standing(Fulfilment::Delivery, Status::Ready, Leg::Assigned);
    for role in [Role::Driver, Role::Store] {
        let stranger = crate::domain::Actor { role, id: courier_id(9).to_string() };
        assert_eq!(scene.order.allowed(&stranger), []);
        for action in Action::ALL {
            let command = command(*action, role, Status::Ready, Fulfilment::Delivery);
            let refusal = scene.refused_to(&stranger, command);
            assert_eq!(refusal, Refusal::NotFound, "{role} {action}");
        }
    }
}
