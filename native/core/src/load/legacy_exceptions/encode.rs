//! Types as the encoder names them.

use wasm_encoder as enc;
use wasmparser::{AbstractHeapType, BlockType, HeapType, RefType, UnpackedIndex, ValType};

/// A type that no enabled feature can express.
#[derive(Debug)]
pub struct Unsupported;

pub fn block_type(ty: BlockType) -> Result<enc::BlockType, Unsupported> {
    Ok(match ty {
        BlockType::Empty => enc::BlockType::Empty,
        BlockType::Type(ty) => enc::BlockType::Result(val_type(ty)?),
        BlockType::FuncType(index) => enc::BlockType::FunctionType(index),
    })
}

pub fn val_types(types: &[ValType]) -> Result<Vec<enc::ValType>, Unsupported> {
    types.iter().copied().map(val_type).collect()
}

pub fn val_type(ty: ValType) -> Result<enc::ValType, Unsupported> {
    Ok(match ty {
        ValType::I32 => enc::ValType::I32,
        ValType::I64 => enc::ValType::I64,
        ValType::F32 => enc::ValType::F32,
        ValType::F64 => enc::ValType::F64,
        ValType::V128 => enc::ValType::V128,
        ValType::Ref(ty) => enc::ValType::Ref(ref_type(ty)?),
    })
}

pub fn ref_type(ty: RefType) -> Result<enc::RefType, Unsupported> {
    Ok(enc::RefType {
        nullable: ty.is_nullable(),
        heap_type: match ty.heap_type() {
            HeapType::Abstract { shared, ty } => enc::HeapType::Abstract {
                shared,
                ty: abstract_heap_type(ty),
            },
            HeapType::Concrete(UnpackedIndex::Module(index)) => enc::HeapType::Concrete(index),
            HeapType::Concrete(_) | HeapType::Exact(_) => return Err(Unsupported),
        },
    })
}

fn abstract_heap_type(ty: AbstractHeapType) -> enc::AbstractHeapType {
    match ty {
        AbstractHeapType::Func => enc::AbstractHeapType::Func,
        AbstractHeapType::Extern => enc::AbstractHeapType::Extern,
        AbstractHeapType::Any => enc::AbstractHeapType::Any,
        AbstractHeapType::None => enc::AbstractHeapType::None,
        AbstractHeapType::NoExtern => enc::AbstractHeapType::NoExtern,
        AbstractHeapType::NoFunc => enc::AbstractHeapType::NoFunc,
        AbstractHeapType::Eq => enc::AbstractHeapType::Eq,
        AbstractHeapType::Struct => enc::AbstractHeapType::Struct,
        AbstractHeapType::Array => enc::AbstractHeapType::Array,
        AbstractHeapType::I31 => enc::AbstractHeapType::I31,
        AbstractHeapType::Exn => enc::AbstractHeapType::Exn,
        AbstractHeapType::NoExn => enc::AbstractHeapType::NoExn,
        AbstractHeapType::Cont => enc::AbstractHeapType::Cont,
        AbstractHeapType::NoCont => enc::AbstractHeapType::NoCont,
    }
}
