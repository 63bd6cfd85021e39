//! Values that cross the boundary between the embedder and a guest.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use wasmtime::{
    AnyRef, AsContext, AsContextMut, ExnRef, ExternRef, Func, FuncType, HeapType, I31, OwnedRooted,
    RefType, Val, ValRaw, ValType,
};

use crate::error::{Error, Result};
use crate::store::{Context, StoreId};

/// An object of the embedder's that a guest holds as an `externref`.
pub type HostObject = Arc<dyn Any + Send + Sync>;

/// A WebAssembly value. Floats are held as bits, so that every NaN survives.
#[derive(Clone)]
pub enum Value {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(u128),
    /// The null reference of any type.
    Null,
    Func(FuncRef),
    Extern(HostObject),
    I31(i32),
    Object(ObjectRef),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I32(value) => write!(f, "i32 {value}"),
            Self::I64(value) => write!(f, "i64 {value}"),
            Self::F32(bits) => write!(f, "f32 {}", f32::from_bits(*bits)),
            Self::F64(bits) => write!(f, "f64 {}", f64::from_bits(*bits)),
            Self::V128(bits) => write!(f, "v128 {bits:#034x}"),
            Self::Null => f.write_str("null"),
            Self::Func(_) => f.write_str("funcref"),
            Self::Extern(_) => f.write_str("externref"),
            Self::I31(value) => write!(f, "i31 {value}"),
            Self::Object(object) => write!(f, "{} reference", object.kind.name()),
        }
    }
}

/// A function's parameter and result types.
#[derive(Debug, Clone)]
pub struct Signature {
    pub params: Box<[ValType]>,
    pub results: Box<[ValType]>,
    /// References need a rooting scope around the call.
    pub(crate) has_references: bool,
}

impl From<&FuncType> for Signature {
    fn from(ty: &FuncType) -> Self {
        let params: Box<[_]> = ty.params().collect();
        let results: Box<[_]> = ty.results().collect();
        let has_references = params.iter().chain(&results).any(ValType::is_ref);
        Self {
            params,
            results,
            has_references,
        }
    }
}

/// A function of a store, callable from outside.
#[derive(Clone)]
pub struct FuncRef {
    pub(crate) store: StoreId,
    pub(crate) func: Func,
    pub(crate) signature: Arc<Signature>,
    /// Whether it is known to be [over in a moment](crate::load::brief).
    pub(crate) is_brief: bool,
}

impl FuncRef {
    pub fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    pub(crate) fn new(context: &mut Context<'_>, func: Func) -> Self {
        let signature = Arc::new(Signature::from(&func.ty(context.as_context())));
        Self {
            store: context.data().id,
            func,
            signature,
            is_brief: false,
        }
    }
}

/// What a guest's own object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    Struct,
    Array,
    Exn,
}

impl ObjectKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Struct => "struct",
            Self::Array => "array",
            Self::Exn => "exn",
        }
    }
}

/// An object on a guest's garbage-collected heap, kept alive by this handle.
#[derive(Clone)]
pub struct ObjectRef {
    store: StoreId,
    kind: ObjectKind,
    root: Root,
}

impl ObjectRef {
    pub fn kind(&self) -> ObjectKind {
        self.kind
    }
}

#[derive(Clone)]
enum Root {
    Any(OwnedRooted<AnyRef>),
    Exn(OwnedRooted<ExnRef>),
}

/// The four disjoint hierarchies of reference types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hierarchy {
    Func,
    Extern,
    Any,
    Exn,
}

impl Hierarchy {
    pub fn of(ty: &RefType) -> Option<Self> {
        match ty.heap_type().top() {
            HeapType::Func => Some(Self::Func),
            HeapType::Extern => Some(Self::Extern),
            HeapType::Any => Some(Self::Any),
            HeapType::Exn => Some(Self::Exn),
            _ => None,
        }
    }
}

impl Value {
    /// The zero of a type.
    pub(crate) fn zero(ty: &ValType) -> Val {
        Val::default_for_ty(ty).unwrap_or(Val::I32(0))
    }

    /// Makes the engine's value for a place of type `ty`.
    ///
    /// # Errors
    /// `BadArgument` if the value is not of that type or belongs to another store.
    pub(crate) fn into_val(self, context: &mut Context<'_>, ty: &ValType) -> Result<Val> {
        let val = match (self, ty) {
            (Self::I32(value), ValType::I32) => return Ok(Val::I32(value)),
            (Self::I64(value), ValType::I64) => return Ok(Val::I64(value)),
            (Self::F32(bits), ValType::F32) => return Ok(Val::F32(bits)),
            (Self::F64(bits), ValType::F64) => return Ok(Val::F64(bits)),
            (Self::V128(bits), ValType::V128) => return Ok(Val::V128(bits.into())),
            (value, ValType::Ref(ty)) => value.into_reference(context, ty)?,
            (value, ty) => return Err(mismatch(&value, ty)),
        };
        if val.matches_ty(context.as_context(), ty).unwrap_or(false) {
            Ok(val)
        } else {
            Err(Error::bad_argument(format!(
                "the reference is not of type {ty}"
            )))
        }
    }

    /// Makes the engine's bare form of a number.
    ///
    /// # Errors
    /// `BadArgument` if the value is not of that type, or is a reference.
    pub(crate) fn into_raw(self, ty: &ValType) -> Result<ValRaw> {
        Ok(match (self, ty) {
            (Self::I32(value), ValType::I32) => ValRaw::i32(value),
            (Self::I64(value), ValType::I64) => ValRaw::i64(value),
            (Self::F32(bits), ValType::F32) => ValRaw::f32(bits),
            (Self::F64(bits), ValType::F64) => ValRaw::f64(bits),
            (Self::V128(bits), ValType::V128) => ValRaw::v128(bits),
            (value, ty) => return Err(mismatch(&value, ty)),
        })
    }

    /// Reads a number in the engine's bare form; none for references.
    pub(crate) fn from_raw(raw: ValRaw, ty: &ValType) -> Option<Self> {
        Some(match ty {
            ValType::I32 => Self::I32(raw.get_i32()),
            ValType::I64 => Self::I64(raw.get_i64()),
            ValType::F32 => Self::F32(raw.get_f32()),
            ValType::F64 => Self::F64(raw.get_f64()),
            ValType::V128 => Self::V128(raw.get_v128()),
            ValType::Ref(_) => return None,
        })
    }

    fn into_reference(self, context: &mut Context<'_>, ty: &RefType) -> Result<Val> {
        let store = context.data().id;
        let hierarchy = Hierarchy::of(ty)
            .ok_or_else(|| Error::bad_argument(format!("no value of type {ty} can be passed")))?;
        match (self, hierarchy) {
            (Self::Null, _) => Ok(Val::null_ref(ty.heap_type())),
            (Self::Func(func), Hierarchy::Func) => {
                same_store(store, func.store)?;
                Ok(Val::FuncRef(Some(func.func)))
            }
            (Self::Extern(object), Hierarchy::Extern) => Ok(Val::ExternRef(Some(
                ExternRef::new(context.as_context_mut(), object).map_err(heap_error)?,
            ))),
            (Self::Extern(object), Hierarchy::Any) => {
                let object =
                    ExternRef::new(context.as_context_mut(), object).map_err(heap_error)?;
                Ok(Val::AnyRef(Some(
                    AnyRef::convert_extern(context.as_context_mut(), object)
                        .map_err(Error::internal)?,
                )))
            }
            (Self::I31(value), Hierarchy::Any | Hierarchy::Extern) => {
                let value = I31::new_i32(value).ok_or_else(|| {
                    Error::bad_argument(format!("{value} is out of range of i31"))
                })?;
                let any = AnyRef::from_i31(context.as_context_mut(), value);
                any_in(context, any, hierarchy)
            }
            (Self::Object(object), Hierarchy::Any | Hierarchy::Extern) => {
                same_store(store, object.store)?;
                let Root::Any(root) = object.root else {
                    return Err(Error::bad_argument(format!(
                        "the reference is not of type {ty}"
                    )));
                };
                let any = root.to_rooted(context.as_context_mut());
                any_in(context, any, hierarchy)
            }
            (Self::Object(object), Hierarchy::Exn) => {
                same_store(store, object.store)?;
                let Root::Exn(root) = object.root else {
                    return Err(Error::bad_argument(format!(
                        "the reference is not of type {ty}"
                    )));
                };
                Ok(Val::ExnRef(Some(root.to_rooted(context.as_context_mut()))))
            }
            (value, _) => Err(mismatch(&value, &ValType::Ref(ty.clone()))),
        }
    }

    /// Reads the engine's value.
    pub(crate) fn from_val(context: &mut Context<'_>, val: &Val) -> Result<Self> {
        Ok(match val {
            Val::I32(value) => Self::I32(*value),
            Val::I64(value) => Self::I64(*value),
            Val::F32(bits) => Self::F32(*bits),
            Val::F64(bits) => Self::F64(*bits),
            Val::V128(bits) => Self::V128(bits.as_u128()),
            Val::FuncRef(None)
            | Val::ExternRef(None)
            | Val::AnyRef(None)
            | Val::ExnRef(None)
            | Val::ContRef(None) => Self::Null,
            Val::FuncRef(Some(func)) => Self::Func(FuncRef::new(context, *func)),
            Val::ExternRef(Some(object)) => {
                if let Some(object) = host_object(context, object)? {
                    Self::Extern(object)
                } else {
                    let any = AnyRef::convert_extern(context.as_context_mut(), *object)
                        .map_err(Error::internal)?;
                    Self::from_any(context, any)?
                }
            }
            Val::AnyRef(Some(any)) => Self::from_any(context, *any)?,
            Val::ExnRef(Some(exn)) => Self::Object(ObjectRef {
                store: context.data().id,
                kind: ObjectKind::Exn,
                root: Root::Exn(
                    exn.to_owned_rooted(context.as_context_mut())
                        .map_err(Error::internal)?,
                ),
            }),
            Val::ContRef(Some(_)) => {
                return Err(Error::internal("continuations cannot leave the guest"));
            }
        })
    }

    fn from_any(context: &mut Context<'_>, any: wasmtime::Rooted<AnyRef>) -> Result<Self> {
        if let Some(value) = any.as_i31(context.as_context()).map_err(Error::internal)? {
            return Ok(Self::I31(value.get_i32()));
        }
        let kind = if any
            .is_struct(context.as_context())
            .map_err(Error::internal)?
        {
            ObjectKind::Struct
        } else if any
            .is_array(context.as_context())
            .map_err(Error::internal)?
        {
            ObjectKind::Array
        } else {
            let object =
                ExternRef::convert_any(context.as_context_mut(), any).map_err(Error::internal)?;
            return host_object(context, &object)?
                .map(Self::Extern)
                .ok_or_else(|| Error::internal("a reference of an unknown kind"));
        };
        Ok(Self::Object(ObjectRef {
            store: context.data().id,
            kind,
            root: Root::Any(
                any.to_owned_rooted(context.as_context_mut())
                    .map_err(Error::internal)?,
            ),
        }))
    }
}

fn host_object(
    context: &mut Context<'_>,
    object: &wasmtime::Rooted<ExternRef>,
) -> Result<Option<HostObject>> {
    Ok(object
        .data(context.as_context())
        .map_err(Error::internal)?
        .and_then(|data| data.downcast_ref::<HostObject>())
        .cloned())
}

fn any_in(
    context: &mut Context<'_>,
    any: wasmtime::Rooted<AnyRef>,
    hierarchy: Hierarchy,
) -> Result<Val> {
    Ok(match hierarchy {
        Hierarchy::Extern => Val::ExternRef(Some(
            ExternRef::convert_any(context.as_context_mut(), any).map_err(Error::internal)?,
        )),
        _ => Val::AnyRef(Some(any)),
    })
}

fn same_store(expected: StoreId, actual: StoreId) -> Result<()> {
    if expected == actual {
        Ok(())
    } else {
        Err(Error::bad_argument(
            "the reference belongs to an instance of another store",
        ))
    }
}

fn mismatch(value: &Value, ty: &ValType) -> Error {
    Error::bad_argument(format!("expected {ty}, got {value:?}"))
}

fn heap_error(error: wasmtime::Error) -> Error {
    Error::from_wasmtime(&error)
}
