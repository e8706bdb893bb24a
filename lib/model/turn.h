/*
 * The device in turns: for programs whose records have threads of their own.
 *
 *	turn_take();
 *	... work on the device ...
 *	turn_give();
 *
 * A thread that ends the program takes the last turn: it waits until nobody is in the driver, which
 * is taken down next, and nobody enters it again.
 */
#ifndef MODEL_TURN_H
#define MODEL_TURN_H

void turn_take(void);
void turn_give(void);

#endif
