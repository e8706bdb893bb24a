/*
 * Stopping cleanly. A trainer calls stop_catch() first thing; from then on INT, TERM and USR1 only
 * set a flag that it looks at between pieces of work. It then saves and calls stop_exit().
 */
#ifndef BASE_SIG_H
#define BASE_SIG_H

void stop_catch(void);
int stop_wanted(void);           /* the signal that asked, or 0 */
_Noreturn void stop_exit(void);  /* exits 128+n */

#endif
