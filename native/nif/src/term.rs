//! Values as terms.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use num_traits::{FromPrimitive, ToPrimitive};
use parking_lot::Mutex;
use rustler::env::SavedTerm;
use rustler::{
    Atom, BigInt, Binary, Encoder, Env, NewBinary, OwnedEnv, Resource, ResourceArc, Term, TermType,
};
use wasmbeam_core::{
    FuncRef, HeapType, Hierarchy, HostObject, ObjectKind, ObjectRef, Signature, ValType, Value,
};

use crate::atoms;
use crate::error::Failure;
use crate::reaper;

/// An Erlang term that a guest holds as an externref.
struct HostTerm(Option<SavedTerms>);

/// Terms whose last reference a guest dropped. A guest's collector runs on a fiber, where nothing
/// of the VM's is to be touched, so they wait here for the next poll to end.
static DROPPED: Mutex<Vec<SavedTerms>> = Mutex::new(Vec::new());
static ANY_DROPPED: AtomicBool = AtomicBool::new(false);

impl Drop for HostTerm {
    fn drop(&mut self) {
        DROPPED.lock().extend(self.0.take());
        ANY_DROPPED.store(true, Ordering::Release);
    }
}

/// So many terms can be freed in the time that a scheduler may be kept.
const FREED_AT_ONCE: usize = 500;

/// Frees the terms that guests dropped, or has it done if that takes long. Not to be called on a fiber.
pub fn free_dropped() {
    let dropped = take_dropped();
    if dropped.len() > FREED_AT_ONCE {
        reaper::discard(dropped);
    }
}

/// The terms that guests dropped since they were last taken.
pub fn take_dropped() -> Vec<SavedTerms> {
    if ANY_DROPPED.load(Ordering::Acquire) && ANY_DROPPED.swap(false, Ordering::AcqRel) {
        std::mem::take(&mut *DROPPED.lock())
    } else {
        Vec::new()
    }
}

/// A term kept outside of any process.
pub struct SavedTerms(Mutex<(OwnedEnv, SavedTerm)>);

impl SavedTerms {
    pub fn new(term: Term<'_>) -> Self {
        let env = OwnedEnv::new();
        let saved = env.save(term);
        Self(Mutex::new((env, saved)))
    }

    pub fn load<'a>(&self, env: Env<'a>) -> Term<'a> {
        let guard = self.0.lock();
        let (owned, saved) = &*guard;
        owned.run(|inner| saved.load(inner).in_env(env))
    }
}

/// A guest's function as a term: `{funcref, Ref}`.
pub struct FuncRes(pub FuncRef);
/// A guest's object as a term: `{ref, Kind, Ref}`.
pub struct ObjectRes(ObjectRef);

#[rustler::resource_impl]
impl Resource for FuncRes {}
#[rustler::resource_impl]
impl Resource for ObjectRes {}

/// A map of distinct keys.
pub fn map<'a>(env: Env<'a>, pairs: &[(Term<'a>, Term<'a>)]) -> Term<'a> {
    Term::map_from_pairs(env, pairs).unwrap_or_else(|_| Term::map_new(env))
}

/// Bytes that become a binary.
pub struct Bytes<'b>(pub &'b [u8]);

impl Encoder for Bytes<'_> {
    fn encode<'a>(&self, env: Env<'a>) -> Term<'a> {
        binary(env, self.0)
    }
}

/// The longest name in a module: no other that is asked for is in one.
const LONGEST_NAME: usize = 100_000;
/// How much of a name that is longer is shown.
const SHOWN_OF_NAME: usize = 100;

/// What a name is that is looked for in a module, which may be any binary.
pub enum Name<'a> {
    Text(&'a str),
    /// Longer than any, with what is shown of it.
    TooLong(String),
    /// No UTF-8. As it is shown.
    NoText(String),
}

impl<'a> Name<'a> {
    pub fn of(term: Term<'a>) -> Option<Self> {
        let bytes = term.decode::<Binary>().ok()?.as_slice();
        if bytes.len() > LONGEST_NAME {
            // Not even looked at: it may have any size.
            let start = bytes.get(..SHOWN_OF_NAME).unwrap_or_default();
            return Some(Self::TooLong(format!(
                "{}...",
                String::from_utf8_lossy(start)
            )));
        }
        Some(match std::str::from_utf8(bytes) {
            Ok(name) => Self::Text(name),
            Err(_) => Self::NoText(String::from_utf8_lossy(bytes).into_owned()),
        })
    }
}

/// Bytes as a binary.
pub fn binary<'a>(env: Env<'a>, bytes: &[u8]) -> Term<'a> {
    NewBinary::from_slice(env, bytes).into()
}

/// Bytes that a binary is of, without a copy.
struct BytesRes(Vec<u8>);

#[rustler::resource_impl]
impl Resource for BytesRes {}

/// Copying more than that keeps a scheduler too long.
const MANY_BYTES: usize = 256 << 10;

/// Bytes as a binary, however many.
pub fn owned(env: Env<'_>, bytes: Vec<u8>) -> Term<'_> {
    if bytes.len() <= MANY_BYTES {
        binary(env, &bytes)
    } else {
        let bytes = ResourceArc::new(BytesRes(bytes));
        bytes.make_binary(env, |bytes| &bytes.0).to_term(env)
    }
}

pub fn encode<'a>(env: Env<'a>, value: &Value) -> Term<'a> {
    match value {
        Value::I32(value) => value.encode(env),
        Value::I64(value) => value.encode(env),
        Value::F32(bits) => {
            let value = f32::from_bits(*bits);
            float(env, f64::from(value), u64::from(*bits), CANONICAL_NAN_32)
        }
        Value::F64(bits) => float(env, f64::from_bits(*bits), *bits, CANONICAL_NAN_64),
        Value::V128(bits) => binary(env, &bits.to_le_bytes()),
        Value::Null => atoms::null().encode(env),
        Value::Func(func) => {
            (atoms::funcref(), ResourceArc::new(FuncRes(func.clone()))).encode(env)
        }
        Value::Extern(object) => match object.downcast_ref::<HostTerm>() {
            Some(HostTerm(Some(term))) => term.load(env),
            _ => atoms::undefined().encode(env),
        },
        Value::I31(value) => (atoms::i31(), value).encode(env),
        Value::Object(object) => {
            let kind = match object.kind() {
                ObjectKind::Struct => atoms::structure(),
                ObjectKind::Array => atoms::array(),
                ObjectKind::Exn => atoms::exn(),
            };
            let resource = ResourceArc::new(ObjectRes(object.clone()));
            (atoms::reference(), kind, resource).encode(env)
        }
    }
}

const CANONICAL_NAN_32: u64 = 0x7fc0_0000;
const CANONICAL_NAN_64: u64 = 0x7ff8_0000_0000_0000;

/// A float term exists for finite numbers only: making any other aborts the VM.
fn float<'a>(env: Env<'a>, value: f64, bits: u64, canonical: u64) -> Term<'a> {
    if value.is_finite() {
        value.encode(env)
    } else if value == f64::INFINITY {
        atoms::infinity().encode(env)
    } else if value == f64::NEG_INFINITY {
        atoms::neg_infinity().encode(env)
    } else if bits == canonical {
        atoms::nan().encode(env)
    } else {
        (atoms::nan(), bits).encode(env)
    }
}

pub fn encode_list<'a>(env: Env<'a>, values: &[Value]) -> Term<'a> {
    let empty = Term::list_new_empty(env);
    let reversed = values.iter().rev();
    reversed.fold(empty, |list, value| list.list_prepend(encode(env, value)))
}

/// The elements of a list; none if it is no proper list, or one of them is something else.
pub fn list<'a, T: rustler::Decoder<'a>>(term: Term<'a>) -> Option<Vec<T>> {
    // What rustler does at the end of an improper one is to panic.
    term.list_length().ok()?;
    term.decode().ok()
}

/// Reads the arguments of a call.
///
/// # Errors
/// Names the position, the expected type and the value; or the expected count.
pub fn decode_args<'a>(args: Term<'a>, signature: &Signature) -> Result<Vec<Value>, Failure<'a>> {
    decode_list(args, &signature.params, "argument")
}

pub fn decode_list<'a>(
    list: Term<'a>,
    types: &[ValType],
    what: &'static str,
) -> Result<Vec<Value>, Failure<'a>> {
    let mut values = Vec::with_capacity(types.len());
    let mut rest = list;
    for ty in types {
        let Ok((term, tail)) = rest.list_get_cell() else {
            return Err(misfit(list, types, what));
        };
        match decode(term, ty) {
            Some(value) => values.push(value),
            None => return Err(misfit(list, types, what)),
        }
        rest = tail;
    }
    if rest.is_empty_list() {
        Ok(values)
    } else {
        Err(misfit(list, types, what))
    }
}

/// Why a list is none of values of these types: first of all by their number.
#[cold]
fn misfit<'a>(list: Term<'a>, types: &[ValType], what: &'static str) -> Failure<'a> {
    if list.list_length().is_ok_and(|length| length == types.len())
        && let Ok(terms) = list.into_list_iterator()
    {
        for (index, (term, ty)) in terms.zip(types).enumerate() {
            if decode(term, ty).is_none() {
                return Failure::BadArgument {
                    position: Some((what, index + 1)),
                    expected: type_name(ty),
                    value: term,
                };
            }
        }
    }
    let plural = if types.len() == 1 { "" } else { "s" };
    Failure::bad(format!("a list of {} {what}{plural}", types.len()), list)
}

/// Reads one value of the given type.
pub fn decode(term: Term<'_>, ty: &ValType) -> Option<Value> {
    match ty {
        ValType::I32 => {
            let value: i64 = term.decode().ok()?;
            let value = i32::try_from(value)
                .ok()
                .or_else(|| u32::try_from(value).ok().map(u32::cast_signed))?;
            Some(Value::I32(value))
        }
        ValType::I64 => {
            let value = term
                .decode::<i64>()
                .or_else(|_| term.decode::<u64>().map(u64::cast_signed));
            Some(Value::I64(value.ok()?))
        }
        ValType::F32 => decode_f32(term).map(Value::F32),
        ValType::F64 => decode_f64(term).map(Value::F64),
        ValType::V128 => {
            let bytes: Binary = term.decode().ok()?;
            Some(Value::V128(u128::from_le_bytes(
                bytes.as_slice().try_into().ok()?,
            )))
        }
        ValType::Ref(ty) => decode_reference(term, Hierarchy::of(ty)?),
    }
}

/// Whether an integer of any size is less than zero.
pub fn is_negative(integer: Term<'_>) -> bool {
    integer < 0.encode(integer.get_env())
}

/// Whether an integer, whose digits may be many millions, is beyond all floats.
fn is_beyond_floats(integer: Term<'_>) -> bool {
    let env = integer.get_env();
    let bound = BigInt::from(1) << f64::MAX_EXP;
    integer >= bound.encode(env) || integer <= (-bound).encode(env)
}

/// A number, rounded to the nearest float.
fn number<F: FromPrimitive>(
    term: Term<'_>,
    from_float: impl FnOnce(f64) -> F,
    from_integer: impl FnOnce(&BigInt) -> Option<F>,
) -> Option<F> {
    match term.get_type() {
        TermType::Float => term.decode().ok().map(from_float),
        TermType::Integer => match term.decode::<i64>() {
            Ok(value) => F::from_i64(value),
            Err(_) if is_beyond_floats(term) => None,
            Err(_) => from_integer(&term.decode::<BigInt>().ok()?),
        },
        _ => None,
    }
}

fn decode_f32(term: Term<'_>) -> Option<u32> {
    if let Some(value) = number(term, |value| value as f32, BigInt::to_f32) {
        return value.is_finite().then_some(value.to_bits());
    }
    let atom_bits = [
        (atoms::infinity(), f32::INFINITY.to_bits()),
        (atoms::neg_infinity(), f32::NEG_INFINITY.to_bits()),
        (atoms::nan(), CANONICAL_NAN_32 as u32),
    ];
    if let Ok(atom) = term.decode::<Atom>() {
        return atom_bits
            .iter()
            .find(|(name, _)| *name == atom)
            .map(|(_, bits)| *bits);
    }
    let (tag, bits): (Atom, u32) = term.decode().ok()?;
    (tag == atoms::nan() && f32::from_bits(bits).is_nan()).then_some(bits)
}

fn decode_f64(term: Term<'_>) -> Option<u64> {
    if let Some(value) = number(term, |value| value, BigInt::to_f64) {
        return value.is_finite().then_some(value.to_bits());
    }
    let atom_bits = [
        (atoms::infinity(), f64::INFINITY.to_bits()),
        (atoms::neg_infinity(), f64::NEG_INFINITY.to_bits()),
        (atoms::nan(), CANONICAL_NAN_64),
    ];
    if let Ok(atom) = term.decode::<Atom>() {
        return atom_bits
            .iter()
            .find(|(name, _)| *name == atom)
            .map(|(_, bits)| *bits);
    }
    let (tag, bits): (Atom, u64) = term.decode().ok()?;
    (tag == atoms::nan() && f64::from_bits(bits).is_nan()).then_some(bits)
}

fn decode_reference(term: Term<'_>, hierarchy: Hierarchy) -> Option<Value> {
    if term
        .decode::<Atom>()
        .is_ok_and(|atom| atom == atoms::null())
    {
        return Some(Value::Null);
    }
    if let Ok((tag, func)) = term.decode::<(Atom, ResourceArc<FuncRes>)>()
        && tag == atoms::funcref()
        && hierarchy == Hierarchy::Func
    {
        return Some(Value::Func(func.0.clone()));
    }
    if let Ok((tag, _, object)) = term.decode::<(Atom, Atom, ResourceArc<ObjectRes>)>()
        && tag == atoms::reference()
        && hierarchy != Hierarchy::Func
    {
        return Some(Value::Object(object.0.clone()));
    }
    match hierarchy {
        Hierarchy::Func | Hierarchy::Exn => None,
        Hierarchy::Any => match term.decode::<(Atom, Term)>() {
            Ok((tag, value)) if tag == atoms::i31() => value.decode().ok().map(Value::I31),
            _ => Some(host_term(term)),
        },
        Hierarchy::Extern => Some(host_term(term)),
    }
}

fn host_term(term: Term<'_>) -> Value {
    let object: HostObject = Arc::new(HostTerm(Some(SavedTerms::new(term))));
    Value::Extern(object)
}

/// The type as people write it.
pub fn type_name(ty: &ValType) -> String {
    match ty {
        ValType::Ref(ty) if ty.is_nullable() => match ty.heap_type() {
            HeapType::Func => "funcref".into(),
            HeapType::Extern => "externref".into(),
            _ => ty.to_string(),
        },
        ty => ty.to_string(),
    }
}

/// `i32`, `funcref`, ..., or `{ref, Text}` for a reference type without a name of its own.
pub fn encode_type<'a>(env: Env<'a>, ty: &ValType) -> Term<'a> {
    match ty {
        ValType::I32 => atoms::i32().encode(env),
        ValType::I64 => atoms::i64().encode(env),
        ValType::F32 => atoms::f32().encode(env),
        ValType::F64 => atoms::f64().encode(env),
        ValType::V128 => atoms::v128().encode(env),
        ValType::Ref(_) => match type_name(ty).as_str() {
            "funcref" => atoms::funcref().encode(env),
            "externref" => atoms::externref().encode(env),
            name => (atoms::reference(), name).encode(env),
        },
    }
}
