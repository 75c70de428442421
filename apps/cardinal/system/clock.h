// clock.h - the time that durations are measured in.
#ifndef CARDINAL_CLOCK_H_
#define CARDINAL_CLOCK_H_

double now_ms(void); // of a clock that is never set back

#endif // CARDINAL_CLOCK_H_
