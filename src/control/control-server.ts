/**
 * The control socket: one request a connection, one line of JSON, answered by lines of JSON.
 *
 *     {"command":"status"}                              {"status":{...}}
 *     {"command":"sessions"}                            {"sessions":{...}}
 *     {"command":"reload"}                              {"reload":{...}}, when it is known
 *     {"command":"why","what":"4XyZ...","since":"2h"}   {"decisions":[...]}
 *     {"command":"shadow","reset":"true"}               {"shadow":{...}}
 *     {"command":"trace","ip":...,"from":...,"rcpt":...}  a line for each callback and decision, until either side ends
 *     anything else                                     {"error":"..."}
 */
import type { Socket } from 'node:net';
import type { Listener } from '../net/listener.ts';
import { jsonOf } from '../text/json-text.ts';
import { systemReason } from '../text/operator-error.ts';
import type { Fleet } from './fleet.ts';
import type { Journal } from './journal.ts';
import { readQuery } from './journal-query.ts';
import { networkOf, type TraceFilter } from './trace.ts';

const MAX_REQUEST_CHARS = 4096;
const REQUEST_MS = 5_000;
/** Who reads more slowly than sessions run is cut off: what they are told must not gather here. */
const MAX_UNREAD_BYTES = 1 << 20;

export class ControlServer {
  readonly #listener: Listener;
  readonly #fleet: Fleet;
  readonly #journal: Journal | undefined;
  readonly #sockets = new Set<Socket>();

  /** @param listener at the control socket */
  constructor(listener: Listener, fleet: Fleet, journal: Journal | undefined) {
    this.#listener = listener;
    this.#fleet = fleet;
    this.#journal = journal;
    listener.serve(
      (socket) => this.#connected(socket),
      () => {},
    );
  }

  close(): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #connected(socket: Socket): void {
    this.#sockets.add(socket);
    let request = '';
    const hurry = setTimeout(() => socket.destroy(), REQUEST_MS);
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(hurry);
      this.#sockets.delete(socket);
    });
    const read = (part: Buffer): void => {
      request += part.toString('latin1');
      const end = request.indexOf('\n');
      if (end < 0) {
        if (request.length > MAX_REQUEST_CHARS) socket.destroy();
        return;
      }
      socket.off('data', read);
      socket.resume();
      clearTimeout(hurry);
      this.#answer(socket, request.slice(0, end));
    };
    socket.on('data', read);
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    try {
      const { command, ...texts } = parseRequest(line);
      switch (command) {
        case 'status':
          end(socket, { status: await this.#fleet.status() });
          break;
        case 'sessions':
          end(socket, { sessions: await this.#fleet.sessions() });
          break;
        case 'reload':
          end(socket, { reload: await this.#fleet.reload() });
          break;
        case 'why':
          if (this.#journal === undefined)
            throw new Error('the server keeps no journal: start it with --journal');
          end(socket, { decisions: await this.#journal.search(readQuery(texts)) });
          break;
        case 'shadow': {
          const shadow = this.#fleet.shadow(texts['reset'] === 'true');
          if (shadow === undefined)
            throw new Error('the server has no candidate beside its policy: start it with --shadow');
          end(socket, { shadow });
          break;
        }
        case 'trace':
          await this.#trace(socket, texts);
          break;
        default:
          throw new Error('unknown command');
      }
    } catch (error) {
      end(socket, { error: error instanceof Error ? error.message : systemReason(error) });
    }
  }

  async #trace(socket: Socket, { ip, from, rcpt }: Readonly<Record<string, string>>): Promise<void> {
    if (ip !== undefined) networkOf(ip);
    const filter: TraceFilter = {
      ...(ip !== undefined && { ip }),
      ...(from !== undefined && { from }),
      ...(rcpt !== undefined && { rcpt }),
    };
    const { attached, detach } = this.#fleet.trace(filter, (record) => {
      if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy();
      else if (socket.writable) socket.write(`${jsonOf(record)}\n`);
    });
    if (socket.destroyed) return detach();
    socket.on('close', detach);
    socket.on('end', () => socket.destroy());
    await attached;
    // From here on no session is missed.
    if (socket.writable) socket.write('{"kind":"attached"}\n');
  }
}

function end(socket: Socket, answer: object): void {
  socket.end(`${jsonOf(answer)}\n`);
}

/** Texts by name. @throws Error when the line is no such object. */
function parseRequest(line: string): Readonly<Record<string, string>> {
  const request: unknown = JSON.parse(line);
  if (typeof request !== 'object' || request === null) throw new Error('not an object');
  return Object.fromEntries(
    Object.entries(request).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
