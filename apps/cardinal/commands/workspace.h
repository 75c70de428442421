// workspace.h - model, device and session of a command that classifies, opened and closed together.
#ifndef CARDINAL_WORKSPACE_H_
#define CARDINAL_WORKSPACE_H_

#include "app.h"

struct workspace {
    struct diagnostics diagnostics;
    struct loaded_model model;
    cdl_device *device;
    struct cdl_device_info device_info;
    cdl_session *session;
    struct cdl_session_info session_info;
};

// EXIT_ALL_DONE, or the exit status after a line on stderr; either way to be closed. Unless quiet, a line on
// stderr tells what runs where.
enum exit_status workspace_open(struct workspace *out, const struct options *options, int default_batch);
// Its two halves, for a command that has something to check before it starts a device.
enum exit_status workspace_open_model(struct workspace *out, const struct options *options);
enum exit_status workspace_open_session(struct workspace *out, const struct options *options, int default_batch);
void workspace_close(struct workspace *w);

#endif // CARDINAL_WORKSPACE_H_
