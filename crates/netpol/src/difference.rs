//! What changes from one set of policies to another, for every kind of pod that they tell apart.
//!
//! Pods that the same policies of both sets select are one kind. The kinds come from the labels of
//! all podSelectors of a namespace, so a pod that a policy no longer selects is found although no
//! selector names it. Each side of a connection is looked at by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::allowed::AllowedTraffic;
use crate::evaluate::Policies;
use crate::model::pod::Pod;
use crate::model::policy::{Direction, Peer, Policy};
use crate::model::tier::{Tier, TierPolicy};
use crate::sets::bits::Bits;
use crate::sets::label_classes::{LabelClass, LabelsOf, classes, independent_groups};
use crate::sets::ports::Ports;
use crate::sets::selector::{Labels, Selector};

/// The most kinds of pods that are compared in one namespace and direction.
const MAX_KINDS: usize = 32_768;

/// All that changes.
#[derive(Debug, Clone, Default)]
pub struct Difference<'p> {
    /// One entry for each kind of pods and direction in which something changes.
    pub changes: Vec<Change<'p>>,
    /// The namespaces and directions whose selectors make too many kinds of pods. Something may
    /// change there.
    pub not_compared: Vec<(&'p str, Direction)>,
}

/// What changes for some pods in one direction.
#[derive(Debug, Clone)]
pub struct Change<'p> {
    /// The policies, in either of the two sets, whose selectors say which pods these are.
    pub policies: Vec<&'p str>,
    /// The namespace of the pods.
    pub namespace: &'p str,
    /// The labels of the pods.
    pub pods: Selector,
    /// Pods that match one of these too are not meant: for them something else changes, or nothing.
    pub except: Vec<Selector>,
    /// The direction, seen from the pods.
    pub direction: Direction,
    /// Whether policies restrict the direction, before and after.
    pub restricted: [bool; 2],
    /// What was allowed before.
    pub before: AllowedTraffic,
    /// What is allowed now.
    pub after: AllowedTraffic,
    /// What is allowed now and was not.
    pub newly_allowed: AllowedTraffic,
    /// What was allowed and is not now.
    pub no_longer_allowed: AllowedTraffic,
}

impl<'p> Difference<'p> {
    /// Compares what two sets of policies let through.
    #[must_use]
    pub fn between(old: &'p Policies, new: &'p Policies) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut by_namespace: HashMap<&str, [Vec<&Policy>; 2]> = HashMap::new();
        for (side, policies) in [old, new].into_iter().enumerate() {
            for policy in policies.iter() {
                let name = policy.namespace.as_str();
                let sides = by_namespace.entry(name).or_insert_with(|| {
                    names.push(name);
                    Default::default()
                });
                if let Some(known) = sides.get_mut(side) {
                    known.push(policy);
                }
            }
        }
        let mut difference = Self::default();
        for name in names {
            let Some(policies) = by_namespace.get(name) else {
                continue;
            };
            let subjects = subjects(policies);
            let mut changes: Vec<(usize, Change<'p>)> = Vec::new();
            for direction in [Direction::Egress, Direction::Ingress] {
                let comparison = Comparison {
                    namespace: name,
                    sets: [old, new],
                    direction,
                    subjects: &subjects,
                    sides: sides(&subjects, policies, direction),
                };
                match comparison.changes() {
                    Some(found) => changes.extend(found),
                    None => difference.not_compared.push((name, direction)),
                }
            }
            changes.sort_by_key(|(place, change)| (*place, change.direction == Direction::Ingress));
            difference
                .changes
                .extend(changes.into_iter().map(|(_, change)| change));
        }
        difference
    }

    /// Whether it is certain that nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.not_compared.is_empty()
    }
}

/// The policies of the Baseline tier that are the same in both sets, but decide for other pods: they
/// decide for pods that no NetworkPolicy isolates, and which these are changes.
#[must_use]
pub fn baseline_for_other_pods<'p>(old: &'p Policies, new: &Policies) -> Vec<&'p TierPolicy> {
    let moved = [Direction::Egress, Direction::Ingress]
        .into_iter()
        .filter(|direction| isolating(old, *direction) != isolating(new, *direction));
    let moved: Vec<Direction> = moved.collect();
    let decides = |policy: &TierPolicy| {
        policy.tier == Tier::Baseline && moved.iter().any(|d| !policy.rules(*d).is_empty())
    };
    old.tiers()
        .filter(|policy| decides(policy) && new.tiers().any(|other| other == *policy))
        .collect()
}

/// The namespaces and selectors of the pods that policies isolate. Where a policy isolates all pods
/// of a namespace, the others there isolate no more.
fn isolating(policies: &Policies, direction: Direction) -> BTreeSet<(&str, &Selector)> {
    let isolating = policies.iter().filter(|p| p.rules(direction).is_some());
    let mut all: BTreeSet<(&str, &Selector)> = isolating
        .map(|policy| (policy.namespace.as_str(), &policy.selector))
        .collect();
    let whole: BTreeSet<&str> = (all.iter().filter(|(_, selector)| selector.is_empty()))
        .map(|(namespace, _)| *namespace)
        .collect();
    all.retain(|(namespace, selector)| selector.is_empty() || !whole.contains(namespace));
    all
}

/// Pods that some policies of a namespace select alike.
struct Subject<'p> {
    selector: &'p Selector,
    policies: Vec<&'p str>,
}

fn subjects<'p>(policies: &[Vec<&'p Policy>; 2]) -> Vec<Subject<'p>> {
    let mut subjects: Vec<Subject<'p>> = Vec::new();
    let mut known: HashMap<&Selector, usize> = HashMap::new();
    let mut named: BTreeSet<(usize, &str)> = BTreeSet::new();
    for policy in policies.iter().flatten() {
        let place = *known.entry(&policy.selector).or_insert_with(|| {
            subjects.push(Subject {
                selector: &policy.selector,
                policies: Vec::new(),
            });
            subjects.len() - 1
        });
        if named.insert((place, &policy.name))
            && let Some(subject) = subjects.get_mut(place)
        {
            subject.policies.push(&policy.name);
        }
    }
    subjects
}

/// What policies of one selector let through, whatever the order of their rules.
type RuleSet<'p> = BTreeSet<(&'p Option<Vec<Peer>>, &'p Ports)>;

/// Of which subjects the policies isolate, before and after, and of which they differ.
struct Sides {
    isolated: [Bits; 2],
    changed: Bits,
}

fn sides(subjects: &[Subject<'_>], policies: &[Vec<&Policy>; 2], direction: Direction) -> Sides {
    let places: HashMap<&Selector, usize> = (subjects.iter().enumerate())
        .map(|(place, subject)| (subject.selector, place))
        .collect();
    let mut isolated = [Bits::none(subjects.len()), Bits::none(subjects.len())];
    let mut rules: [Vec<Option<RuleSet<'_>>>; 2] =
        [vec![None; subjects.len()], vec![None; subjects.len()]];
    for ((isolated, rules), policies) in isolated.iter_mut().zip(&mut rules).zip(policies) {
        for policy in policies {
            let (Some(own), Some(&place)) = (policy.rules(direction), places.get(&policy.selector))
            else {
                continue;
            };
            isolated.set(place, true);
            if let Some(known) = rules.get_mut(place) {
                let known = known.get_or_insert_default();
                known.extend(own.iter().map(|rule| (&rule.peers, &rule.ports)));
            }
        }
    }
    let [before, after] = rules;
    let differing = before.iter().zip(&after).enumerate();
    let differing = differing.filter_map(|(place, (a, b))| (a != b).then_some(place));
    Sides {
        isolated,
        changed: Bits::of(subjects.len(), differing),
    }
}

/// One namespace and direction.
struct Comparison<'c, 'p> {
    namespace: &'p str,
    sets: [&'p Policies; 2],
    direction: Direction,
    subjects: &'c [Subject<'p>],
    sides: Sides,
}

/// What changes for pods of one kind.
struct Judged {
    matched: Bits,
    restricted: [bool; 2],
    before: AllowedTraffic,
    after: AllowedTraffic,
    newly_allowed: AllowedTraffic,
    no_longer_allowed: AllowedTraffic,
}

impl Judged {
    fn is_empty(&self) -> bool {
        self.newly_allowed.is_empty() && self.no_longer_allowed.is_empty()
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.newly_allowed == other.newly_allowed
            && self.no_longer_allowed == other.no_longer_allowed
    }
}

/// A kind for which a change is listed, and the kinds among its pods that are listed by themselves.
struct Claim<'j> {
    judged: &'j Judged,
    except: Vec<Bits>,
}

impl<'p> Comparison<'_, 'p> {
    /// The changes, each with the place of the first subject that it is about; `None` where there
    /// are too many kinds of pods.
    fn changes(&self) -> Option<Vec<(usize, Change<'p>)>> {
        if self.sides.changed.is_empty() {
            return Some(Vec::new());
        }
        let (bases, groups) = self.groups()?;
        let kinds = self.kinds(&bases, &groups)?;
        let narrowest = Narrowest::of(&kinds, self.subjects.len());
        let mut judged: Vec<Judged> = (kinds.into_iter())
            .filter(|kind| kind.matched.intersects(&self.sides.changed))
            .map(|kind| self.judge(kind))
            .collect();
        // The widest come first: what is said of them holds for the narrower ones.
        judged.sort_by(|a, b| {
            (a.matched.count().cmp(&b.matched.count())).then_with(|| b.matched.cmp(&a.matched))
        });
        let mut group_of: Vec<Option<usize>> = vec![None; self.subjects.len()];
        for (number, group) in groups.iter().enumerate() {
            let places = group.classes.iter().flat_map(|class| class.matched.iter());
            for place in places {
                if let Some(known) = group_of.get_mut(place) {
                    *known = Some(number);
                }
            }
        }
        let claims = claims(&judged, &narrowest, &group_of);
        Some(
            (claims.into_iter())
                .map(|claim| self.change(&claim, &narrowest))
                .collect(),
        )
    }

    /// Every kind of pods that the selectors tell apart, but for those whose changes follow from the
    /// changes of others.
    ///
    /// Labels that no selector asks for together are looked at apart. A pod that policies of both
    /// select gains nothing that one of the two does not gain, and loses nothing that one of them
    /// does not lose. That is so unless only one of the two is isolated all along and the other is
    /// isolated in one set only: these pairs are kinds too.
    fn kinds(&self, bases: &[LabelClass], groups: &[Group]) -> Option<Vec<LabelClass>> {
        let mut kinds: Vec<LabelClass> = Vec::new();
        for base in bases {
            // The group of each kind, to tell which can be joined.
            let mut always: Vec<(usize, LabelClass)> = Vec::new();
            let mut sometimes: Vec<(usize, LabelClass)> = Vec::new();
            let alone = groups
                .iter()
                .fold(base.clone(), |all, group| group.join(all, &group.none));
            for (place, group) in groups.iter().enumerate() {
                for class in &group.classes {
                    let kind = group.join(alone.clone(), class);
                    match self.isolated(&kind.matched) {
                        [true, true] => always.push((place, class.clone())),
                        [false, false] => {}
                        _ => sometimes.push((place, kind.clone())),
                    }
                    kinds.push(kind);
                }
            }
            kinds.push(alone);
            for (place, kind) in &sometimes {
                for (other, class) in always.iter().filter(|(other, _)| other != place) {
                    if kinds.len() > MAX_KINDS {
                        return None;
                    }
                    kinds.extend(
                        groups
                            .get(*other)
                            .map(|group| group.join(kind.clone(), class)),
                    );
                }
            }
            if kinds.len() > MAX_KINDS {
                return None;
            }
        }
        Some(kinds)
    }

    /// Whether policies isolate a kind of pods, before and after.
    fn isolated(&self, matched: &Bits) -> [bool; 2] {
        (self.sides.isolated.each_ref()).map(|set| set.intersects(matched))
    }

    /// The kinds that every pod belongs to one of, and for each group of labels the kinds that a
    /// pod can belong to beside.
    fn groups(&self) -> Option<(Vec<LabelClass>, Vec<Group>)> {
        let selectors: Vec<&Selector> = self.subjects.iter().map(|s| s.selector).collect();
        let mut always: Vec<usize> = (0..selectors.len())
            .filter(|i| selectors.get(*i).is_some_and(|s| s.is_empty()))
            .collect();
        let mut groups: Vec<Group> = Vec::new();
        for places in independent_groups(&selectors) {
            let mut classes = classes_of(&selectors, &places)?;
            match classes.iter().position(|class| class.matched.is_empty()) {
                Some(none) => groups.push(Group {
                    none: classes.swap_remove(none),
                    classes,
                }),
                // Some selector of this group matches every pod, whatever its labels.
                None => always.extend(places),
            }
        }
        Some((classes_of(&selectors, &always)?, groups))
    }

    fn judge(&self, kind: LabelClass) -> Judged {
        let pod = Pod {
            namespace: self.namespace.to_owned(),
            labels: kind.labels,
            ..Pod::default()
        };
        let [before, after] = self.sets.map(|set| set.allowance(&pod, self.direction));
        Judged {
            restricted: self.isolated(&kind.matched),
            newly_allowed: after.difference(&before),
            no_longer_allowed: before.difference(&after),
            matched: kind.matched,
            before,
            after,
        }
    }

    fn change(&self, claim: &Claim<'_>, narrowest: &Narrowest) -> (usize, Change<'p>) {
        let judged = claim.judged;
        let places = narrowest.places(&judged.matched);
        let and = |places: &[usize]| {
            let selectors = places.iter().filter_map(|place| self.subjects.get(*place));
            selectors.fold(Selector::default(), |all, s| all.and(s.selector))
        };
        let except = claim.except.iter().map(|other| {
            let mut others = narrowest.places(other);
            others.retain(|place| !judged.matched.contains(*place));
            and(&others)
        });
        let named = judged
            .matched
            .iter()
            .filter(|i| narrowest.is_one_of(*i, &places));
        let change = Change {
            policies: named
                .filter_map(|i| self.subjects.get(i))
                .flat_map(|subject| subject.policies.iter().copied())
                .collect(),
            namespace: self.namespace,
            pods: and(&places),
            except: except.collect(),
            direction: self.direction,
            restricted: judged.restricted,
            before: judged.before.clone(),
            after: judged.after.clone(),
            newly_allowed: judged.newly_allowed.clone(),
            no_longer_allowed: judged.no_longer_allowed.clone(),
        };
        (places.first().copied().unwrap_or(usize::MAX), change)
    }
}

/// The classes of label sets that some of the selectors tell apart.
fn classes_of(selectors: &[&Selector], places: &[usize]) -> Option<Vec<LabelClass>> {
    // The first one matches everything, so that no class is left out.
    let every = Selector::default();
    let some = places
        .iter()
        .filter_map(|place| selectors.get(*place).copied());
    let some: Vec<&Selector> = [&every].into_iter().chain(some).collect();
    let found = classes(&some, LabelsOf::Pods, &Bits::of(some.len(), [0]), MAX_KINDS)?;
    let in_all = |class: LabelClass| {
        let matched = class
            .matched
            .iter()
            .skip(1)
            .filter_map(|i| places.get(i - 1));
        LabelClass {
            matched: Bits::of(selectors.len(), matched.copied()),
            labels: class.labels,
        }
    };
    Some(found.into_iter().map(in_all).collect())
}

/// Selectors that have no key in common with others.
struct Group {
    /// The label sets that none of them matches.
    none: LabelClass,
    /// Those that some match.
    classes: Vec<LabelClass>,
}

impl Group {
    /// A kind that no selector of this group matches, with the labels of a class of the group.
    fn join(&self, kind: LabelClass, class: &LabelClass) -> LabelClass {
        let mut labels: Labels = kind.labels;
        labels.retain(|key, _| !self.none.labels.contains_key(key));
        labels.extend(class.labels.clone());
        LabelClass {
            labels,
            matched: kind.matched.or(&class.matched),
        }
    }
}

/// Which selectors say all about a kind of pods: those that are not implied by another.
struct Narrowest {
    /// For each selector those that match each of its pods, itself included.
    implied: Vec<Bits>,
}

impl Narrowest {
    fn of(kinds: &[LabelClass], count: usize) -> Self {
        let mut implied: Vec<Option<Bits>> = vec![None; count];
        for kind in kinds {
            for i in kind.matched.iter() {
                if let Some(known) = implied.get_mut(i) {
                    *known = Some(match known {
                        None => kind.matched.clone(),
                        Some(known) => known.and(&kind.matched),
                    });
                }
            }
        }
        Self {
            implied: implied.into_iter().map(Option::unwrap_or_default).collect(),
        }
    }

    fn implies(&self, i: usize, other: usize) -> bool {
        self.implied
            .get(i)
            .is_some_and(|implied| implied.contains(other))
    }

    /// Of the selectors that match a kind, the narrowest ones; the first of several that are equal.
    fn places(&self, matched: &Bits) -> Vec<usize> {
        let is_implied = |i: usize| {
            matched
                .iter()
                .any(|j| j != i && self.implies(j, i) && (j < i || !self.implies(i, j)))
        };
        matched.iter().filter(|i| !is_implied(*i)).collect()
    }

    /// Whether a selector is one of these, or equal to one.
    fn is_one_of(&self, i: usize, places: &[usize]) -> bool {
        (places.iter()).any(|place| self.implies(i, *place) && self.implies(*place, i))
    }
}

/// How often kinds are added to those that have to be listed; after that all are listed.
const MAX_ROUNDS: usize = 4;

/// The kinds that have to be listed, the widest first.
///
/// A kind is not listed where a wider one says the same. Where it says something else, the wider one
/// excepts it. `group_of` says which selectors have keys in common: a pod can belong to two kinds of
/// different groups, and where the wider kind excepts one of them, the other is listed too.
fn claims<'j>(
    judged: &'j [Judged],
    narrowest: &Narrowest,
    group_of: &[Option<usize>],
) -> Vec<Claim<'j>> {
    let mut must: BTreeSet<usize> = BTreeSet::new();
    for _ in 0..MAX_ROUNDS {
        let (claims, covered) = claims_with(judged, narrowest, &must);
        let groups = |of: &Bits, but: &Bits| -> BTreeSet<usize> {
            let places = of.without(but);
            let groups = places
                .iter()
                .filter_map(|i| group_of.get(i).copied().flatten());
            groups.collect()
        };
        let is_parted = |(kind, claim): &(usize, usize)| {
            let (Some(kind), Some(claim)) = (judged.get(*kind), claims.get(*claim)) else {
                return false;
            };
            let wide = &claim.judged.matched;
            let own = groups(&kind.matched, wide);
            (claim.except.iter()).any(|other| groups(other, wide).is_disjoint(&own))
        };
        let parted = covered
            .iter()
            .filter(|pair| is_parted(pair))
            .map(|(kind, _)| *kind);
        let before = must.len();
        must.extend(parted.collect::<Vec<_>>());
        if must.len() == before {
            return claims;
        }
    }
    claims_with(judged, narrowest, &(0..judged.len()).collect()).0
}

/// The kinds that are listed if some have to be, and which others are covered by which of them.
fn claims_with<'j>(
    judged: &'j [Judged],
    narrowest: &Narrowest,
    must: &BTreeSet<usize>,
) -> (Vec<Claim<'j>>, Vec<(usize, usize)>) {
    let mut claims: Vec<Claim<'j>> = Vec::new();
    let mut covered: Vec<(usize, usize)> = Vec::new();
    let mut by_place: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, kind) in judged.iter().enumerate() {
        let mut is_covered = false;
        let wider = kind.matched.iter().filter_map(|place| by_place.get(&place));
        for place in wider.flatten() {
            let Some(claim) = claims.get_mut(*place) else {
                continue;
            };
            let excepted = |other: &Bits| other.is_within(&kind.matched);
            if !claim.judged.matched.is_within(&kind.matched) || claim.except.iter().any(excepted) {
                continue;
            }
            if claim.judged.is_alike(kind) {
                is_covered = true;
                covered.push((number, *place));
            } else {
                claim.except.push(kind.matched.clone());
            }
        }
        if kind.is_empty() || (is_covered && !must.contains(&number)) {
            continue;
        }
        let place = narrowest.places(&kind.matched).first().copied();
        (by_place.entry(place.unwrap_or_default()).or_default()).push(claims.len());
        claims.push(Claim {
            judged: kind,
            except: Vec::new(),
        });
    }
    (claims, covered)
}
