//! Whatever a guest says to WASI and has in its memory, it gets an answer: a fault changes nothing,
//! and the state stays one that has bytes of its own.
//!
//! The input is a world, and calls in it with arguments and pieces of memory.

use arbitrary::{Arbitrary, Result, Unstructured};
use wasmbeam_core::wasi::{
    self, Abi, Answer, ClockSource, Errno, Function, Node, Outcome, OutputSink, Quotas,
    RandomSource, Request, StdinSource, Version, WasiConfig, WasiState, Width,
};

const MEMORY: usize = 1 << 16;
const QUOTAS: Quotas = Quotas {
    files: 64,
    bytes: 1 << 20,
    descriptors: 16,
};
/// Calls of one input.
const CALLS: usize = 64;
/// What one call may ask for.
const QUESTIONS: usize = 8;

pub fn run(data: &[u8]) {
    // An input that ends ends the world.
    let _ = world(&mut Unstructured::new(data));
}

#[derive(Arbitrary)]
enum Argument {
    Small(u8),
    Any(u64),
    /// Of the memory, a little before or behind it too.
    Pointer(u16),
    Near(i8),
    Power(u8),
}

impl Argument {
    fn number(&self) -> u64 {
        match self {
            Self::Small(number) => u64::from(*number % 16),
            Self::Any(number) => *number,
            Self::Pointer(pointer) => u64::from(*pointer),
            Self::Near(distance) => (MEMORY as u64).wrapping_add_signed(i64::from(*distance)),
            Self::Power(power) => 1 << (power % 64),
        }
    }
}

fn world(input: &mut Unstructured<'_>) -> Result<()> {
    let embedder = input.arbitrary()?;
    let mut state = WasiState::new(config(embedder)).expect("a good configuration");
    let abi = Abi {
        width: if input.arbitrary()? {
            Width::W32
        } else {
            Width::W64
        },
        version: if input.ratio(1, 4)? {
            Version::Unstable
        } else {
            Version::Preview1
        },
    };
    let mut memory = vec![0; MEMORY];
    for _ in 0..CALLS {
        if input.is_empty() {
            break;
        }
        place(&mut memory, input, abi)?;
        call(&mut state, &mut memory, abi, input)?;
    }
    let bytes = state.encode();
    let decoded = WasiState::decode(&bytes, Quotas::MAX).expect("a good state");
    assert!(decoded.encode() == bytes);
    Ok(())
}

fn config(embedder: bool) -> WasiConfig {
    let files = [
        ("file", Node::File(b"some text".to_vec())),
        ("link", Node::Symlink(b"dir/loop".to_vec())),
        (
            "dir",
            Node::Directory([(b"loop".to_vec(), Node::Symlink(b"../link".to_vec()))].into()),
        ),
    ];
    let mut config = WasiConfig {
        args: vec![b"program".to_vec()],
        env: vec![(b"NAME".to_vec(), b"value".to_vec())],
        clock: ClockSource::Fixed(1_700_000_000_000_000_000),
        random: RandomSource::Seed(7),
        stdin: StdinSource::Bytes(b"input".to_vec()),
        quotas: QUOTAS,
        files: Node::Directory(
            files
                .map(|(name, node)| (name.as_bytes().to_vec(), node))
                .into(),
        ),
        ..WasiConfig::default()
    };
    if embedder {
        config.clock = ClockSource::Embedder;
        config.random = RandomSource::Embedder;
        config.stdin = StdinSource::Embedder;
        config.stdout = OutputSink::Embedder;
    }
    config
}

/// Puts something into the memory: a path, buffers, anything.
fn place(memory: &mut [u8], input: &mut Unstructured<'_>, abi: Abi) -> Result<()> {
    let at = usize::from(input.arbitrary::<u16>()?);
    let bytes = match input.int_in_range(0..=3)? {
        0 => return Ok(()),
        1 => {
            let paths: [&[u8]; 8] = [
                b"file",
                b"link",
                b"dir",
                b"dir/../file",
                b"new",
                b"dir/new",
                b".",
                b"../file",
            ];
            input.choose(&paths)?.to_vec()
        }
        2 => {
            let size = abi.width.bytes() as usize;
            let fields = input.arbitrary::<[Argument; 6]>()?;
            let fields = fields.iter().map(Argument::number);
            fields
                .flat_map(|field| field.to_le_bytes().into_iter().take(size))
                .collect()
        }
        _ => {
            let len = input.arbitrary_len::<u8>()?.min(64);
            input.bytes(len)?.to_vec()
        }
    };
    for (place, byte) in memory.iter_mut().skip(at).zip(bytes) {
        *place = byte;
    }
    Ok(())
}

fn call(
    state: &mut WasiState,
    memory: &mut [u8],
    abi: Abi,
    input: &mut Unstructured<'_>,
) -> Result<()> {
    let function = *input.choose(Function::ALL)?;
    let args: Vec<_> = function
        .params()
        .iter()
        .map(|_| Ok(input.arbitrary::<Argument>()?.number()))
        .collect::<Result<_>>()?;
    let before = (memory.to_vec(), state.encode());
    let mut outcome = wasi::call(state, memory, function, abi, &args);
    if outcome == Outcome::Return(Err(Errno::Fault)) {
        assert!(memory == before.0, "{function:?} {args:x?} wrote to memory");
        assert!(
            state.encode() == before.1,
            "{function:?} {args:x?} changed the state"
        );
    }
    for _ in 0..QUESTIONS {
        let Outcome::Pending(request) = outcome else {
            return Ok(());
        };
        let bytes = [7; 1 << 16];
        let answer = if input.ratio(3, 4)? {
            fitting(&request, &bytes)
        } else {
            any(input)?
        };
        outcome = wasi::complete(state, memory, request, &answer);
    }
    Ok(())
}

fn fitting<'a>(request: &Request, bytes: &'a [u8]) -> Answer<'a> {
    match request {
        Request::Stdin(_) => Answer::Stdin(b"input"),
        Request::Output(output) => Answer::Written(output.bytes.len() as u64),
        Request::Clock(_) => Answer::Time(12345),
        Request::Random(random) => Answer::Random(bytes.get(..random.len).unwrap_or(bytes)),
        Request::Wait(_) | Request::Yield(_) => Answer::Elapsed,
    }
}

fn any<'a>(input: &mut Unstructured<'a>) -> Result<Answer<'a>> {
    Ok(match input.int_in_range(0..=6)? {
        0 => Answer::Stdin(b"other"),
        1 => Answer::Written(input.arbitrary()?),
        2 => Answer::Time(input.arbitrary()?),
        3 => {
            let len = input.arbitrary_len::<u8>()?;
            Answer::Random(input.bytes(len)?)
        }
        4 => Answer::Error(Errno::Io),
        5 => Answer::Readable,
        _ => Answer::Elapsed,
    })
}
