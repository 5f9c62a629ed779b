use super::evidence::{Answered, Episode, Log, Observed};
use super::fair::Fair;

fn known(log: &Log, now: f64) -> Observed<'_> {
    Observed {
        now,
        began: 0.0,
        log,
        sent: 100.0,
        refused: 1.0,
        left: 1000.0,
        most: 1000.0,
        fastest: 100.0,
        trip: 0.05,
        jitter: 0.001,
        early: 0.001,
    }
}

fn hold(after: f64, refused: f64) -> Episode {
    Episode { after, until: refused + 1.1, refused, wait: 1.0 }
}

/// One of `clients` that was admitted `count` times in the second before its first refusal, at two seconds.
fn learnt(clients: u32, count: u16) -> Fair {
    let mut log = Log::default();
    (0..count).for_each(|nth| log.add(Answered { sent: 1.0 + f64::from(nth) / f64::from(count), admitted: true }));
    let mut fair = Fair::new(clients);
    fair.learn(&hold(0.0, 2.0), &known(&log, 3.1));
    fair
}

fn rate(fair: &mut Fair, now: f64) -> f64 {
    fair.rate(&known(&Log::default(), now)).expect("learnt")
}

#[test]
fn together_the_clients_start_at_the_rate_of_one_and_grow_alike() {
    for clients in [2, 8, 16] {
        let fair = Fair::new(clients);
        assert!((fair.start(50.0, 0.0) * f64::from(clients) - 50.0).abs() < 1e-9);
        assert!((fair.start(50.0, 2.0) / fair.start(50.0, 0.0) - 4_f64.exp()).abs() < 1e-9);
    }
}

#[test]
fn nothing_is_known_before_a_refusal() {
    let mut fair = Fair::new(8);
    assert!(!fair.is_known() && fair.rate(&known(&Log::default(), 1.0)).is_none());
    assert!(learnt(8, 12).is_known());
}

#[test]
fn clients_that_counted_nearly_alike_take_the_same_round_limit() {
    for count in [12, 13, 14, 15] {
        let share = rate(&mut learnt(8, count), 3.1);
        assert!((share - 97.0 / 8.0).abs() < 1e-9, "{count}: {share}");
    }
    // 24, 32 and 40 are nowhere near 20 or 50.
    for count in [4, 5] {
        let share = rate(&mut learnt(8, count), 3.1);
        assert!((share - f64::from(count) * 0.94).abs() < 1e-6, "{count}: {share}");
    }
}

#[test]
fn each_refusal_lowers_the_rate_and_one_that_follows_at_once_by_less() {
    let after = |quiet: f64| {
        let mut fair = learnt(8, 4);
        fair.learn(&hold(3.1, 3.1 + quiet), &known(&Log::default(), 4.2 + quiet));
        rate(&mut fair, 4.2 + quiet)
    };
    let before = |at: f64| rate(&mut learnt(8, 4), at);
    assert!((after(0.5) / before(4.7) - 0.92).abs() < 1e-6);
    assert!((after(2.0) / before(6.2) - 0.85).abs() < 1e-6);
}

#[test]
fn the_rate_grows_slowly_and_faster_after_a_long_time_without_a_refusal() {
    let mut fair = learnt(8, 5);
    let rates = [3.1, 13.1, 33.1, 63.1, 123.1, 183.1].map(|at| rate(&mut fair, at));
    assert!(rates.windows(2).all(|pair| pair[1] > pair[0]), "{rates:?}");
    assert!(rates[1] < rates[0] * 1.1, "{rates:?}");
    assert!(rates[5] / rates[4] > rates[2] / rates[1], "{rates:?}");
}

#[test]
fn unequal_clients_that_are_refused_alike_become_equal() {
    // Each request is refused with the same likelihood, chosen so that the sum stays at 300 a second.
    let mut random = fastrand::Rng::with_seed(7);
    let mut clients = [learnt(8, 40), learnt(8, 10)];
    let mut ended = [3.1; 2];
    let ratio = |clients: &mut [Fair; 2], now: f64| rate(&mut clients[0], now) / rate(&mut clients[1], now);
    let first = ratio(&mut clients, 3.1);
    for tenth in 32..60_000_u32 {
        let now = f64::from(tenth) / 10.0;
        for nth in 0..2 {
            let own = rate(&mut clients[nth], now);
            if now > ended[nth] && random.f64() < own * 0.1 * 0.002 {
                clients[nth].learn(&hold(ended[nth], now), &known(&Log::default(), now + 1.1));
                ended[nth] = now + 1.1;
            }
        }
    }
    let last = ratio(&mut clients, 6000.0);
    assert!(first > 3.5 && (0.6..1.7).contains(&last), "{first} {last}");
}
