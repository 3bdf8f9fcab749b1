//! Makes large buffers cost only what lies in them.
//!
//! A TCP flow has two buffers of up to a mebibyte, of which an idle flow uses a page. That holds while the allocator asks
//! the kernel for each of them and gives it back to the kernel, and while the kernel does not put huge pages there.
#![expect(unsafe_code, reason = "mallopt and prctl have no safe wrapper")]

use std::sync::Once;

/// From this size on an allocation is the kernel's own memory, in bytes; setting it also keeps glibc from raising it.
const THRESHOLD: libc::c_int = 60 << 10;
/// How many such allocations there may be: as many as the kernel allows mappings.
const MAPPINGS: libc::c_int = 1 << 20;

/// Sets the process up so. Other C libraries than glibc behave so by themselves.
pub fn keep_buffers_lazy() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(target_env = "gnu")]
        // SAFETY: mallopt only stores numbers, under the allocator's own lock.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD);
            libc::mallopt(libc::M_MMAP_MAX, MAPPINGS);
        }
        // SAFETY: the call takes numbers alone and touches no memory of ours.
        unsafe {
            libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
        }
    });
}
