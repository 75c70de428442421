// submit.h - which slots may take a run, and waiting for one; cdl_session_submit, _wait and _run are public, see cdl.h.
#ifndef CDL_SUBMIT_H_
#define CDL_SUBMIT_H_

#include "session/session.h"

// NULL: out of range or busy, or another slot's run is half recorded.
struct cdl_slot *cdl_idle_slot(struct cdl_session *s, int index);
// Waits for everything submitted on the slot.
cdl_result cdl_slot_wait(struct cdl_session *s, struct cdl_slot *slot, uint64_t timeout_ns);

#endif // CDL_SUBMIT_H_
