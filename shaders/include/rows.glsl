// rows.glsl - sums of many terms by workgroups of ROWS rows: an invocation adds up every ROWS-th term of its column,
// then the rows are added up through shared memory, in a fixed order.
//
// Columns lie side by side in what is read, WORKGROUP / ROWS to a workgroup. A GPU needs far more invocations than
// there are columns to hide what a load takes; a CPU driver has ROWS = 1, and nothing of this costs it anything.
//
// Behind a list of constants that has ROWS.

const int COLUMNS = WORKGROUP / ROWS;
int row() { return int(gl_LocalInvocationID.x) / COLUMNS; }
int column() { return int(workgroup_index()) * COLUMNS + int(gl_LocalInvocationID.x) % COLUMNS; }

shared vec4 row_sums[WORKGROUP];

// In row 0: the sum over the column's rows. All invocations have to call it.
vec4 add_rows(vec4 sum) {
    if (ROWS == 1)
        return sum;
    const int t = int(gl_LocalInvocationID.x);
    barrier(); // what an earlier call left has been read
    row_sums[t] = sum;
    for (int reach = ROWS / 2; reach > 0; reach /= 2) {
        barrier();
        if (row() < reach)
            row_sums[t] = sum += row_sums[t + reach * COLUMNS];
    }
    return sum;
}
