// results.h - makes a finished run's results readable; the functions that read them are public, see cdl.h.
#ifndef CDL_RESULTS_H_
#define CDL_RESULTS_H_

#include "session/session.h"

// Fetches what the slot's run, which is done, wrote: its results and its timestamps.
cdl_result cdl_take_results(struct cdl_session *s, struct cdl_slot *slot);

#endif // CDL_RESULTS_H_
