// submit.h - which slots may take a run, and waiting for one; cdl_session_submit, _wait and _run are public, see cdl.h.
#ifndef CDL_SUBMIT_H_
#define CDL_SUBMIT_H_

#include "session/session.h"

// NULL: out of range or busy, or another slot's run is half recorded.
struct cdl_slot *cdl_idle_slot(struct cdl_session *s, int index);
// Waits for what Cardinal submitted on the slot.
cdl_result cdl_slot_wait(struct cdl_session *s, struct cdl_slot *slot, uint64_t timeout_ns);
// Whether the device is done with all that was recorded into a host's commands. CDL_NOT_READY: not, or these were never
// submitted.
cdl_result cdl_slot_recordings_done(struct cdl_session *s, struct cdl_slot *slot);
// Before the slot's memory is written or freed: waits until the device is done with all of it. What a host recorded and
// never said to be done is waited for with the whole queue. An error, logged: not within CDL_VK_PATIENCE.
cdl_result cdl_slot_settle(struct cdl_session *s, struct cdl_slot *slot);

#endif // CDL_SUBMIT_H_
