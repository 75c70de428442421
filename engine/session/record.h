// record.h - what a run consists of, as commands: cdl_record_begin, then the pictures' preprocessing, which the caller
// records, the network's steps in one or more parts, and the results. Nothing is submitted here.
#ifndef CDL_RECORD_H_
#define CDL_RECORD_H_

#include "session/session.h"

// Lets earlier runs of the session finish with its arena. first: of the run's command buffers, so timing begins.
void cdl_record_begin(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands, bool first);
// The dispatches [first, end) of those that cdl_plan_dispatch counts.
void cdl_record_steps(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands, int images, int first,
                      int end);
// Softmax and order of the logits, and the copy of all results to slot->readback.
void cdl_record_results(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands, int images);
// All steps and the results for `images` images, into slot->network.
cdl_result cdl_record_network(struct cdl_session *s, struct cdl_slot *slot, int images);
// How many timestamps a run of so many images writes.
int cdl_num_queries(const struct cdl_session *s, int images);

#endif // CDL_RECORD_H_
