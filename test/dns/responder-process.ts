/**
 * A responder in a process of its own, so that a test with a thousand sessions does not keep it from answering: every A
 * question gets 192.0.2.1 after the milliseconds given as argument. Tells its parent the server's address.
 */
import { data, Responder } from './responder.ts';

const delayMs = Number(process.argv[2]);
const responder = await Responder.start(() => ({ records: [['A', 60, data.a('192.0.2.1')]], delayMs }));
process.send?.(responder.server);
process.once('disconnect', () => responder.close());
