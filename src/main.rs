//! The binary: hands over to the command line.

/// Memory goes back to the system soon, and many threads share few arenas; Cargo.toml says what it is for.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Compiled into the allocator: a build that does not read `.cargo/config.toml` (from outside this folder) fails here,
/// instead of making a binary that takes half as much memory again.
const _: &str = env!("JEMALLOC_SYS_WITH_MALLOC_CONF");

fn main() -> std::process::ExitCode {
    bothy::cli::main()
}
