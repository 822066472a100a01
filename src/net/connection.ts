/**
 * One MTA's socket: bytes in, session steps out.
 *
 * Commands are handled strictly one after another: while the policy works on an event nothing more is taken from the
 * socket than fits the buffers, and while the MTA does not read its replies nothing more is handled. A peer that sends
 * without waiting for replies is served for some milliseconds; what it sent more waits for its turn (`slices`), one peer's
 * turn for each time that the event loop looks at its sockets, so that who waits for an answer gets it at once. The same is
 * so of peers that wait for replies, but whose commands make the policy work long.
 */

import { SMFIC } from '../milter/constants.ts';
import { decodeCommand } from '../milter/decode-command.ts';
import { encodeModification, encodeReply } from '../milter/encode-reply.ts';
import { type Frame, FrameDecoder } from '../milter/frame-decoder.ts';
import type { PolicyEvent, PolicyFactory } from '../milter/policy.ts';
import { ProtocolError } from '../milter/protocol-error.ts';
import type { Modification, Reply } from '../milter/reply.ts';
import { type DriverSettings, type Failure, type MtaSide, SessionDriver } from '../milter/session-driver.ts';
import type { MessageLimits, Room } from '../milter/transaction.ts';
import type { Logger } from '../syslog/log.ts';
import type { Crowd } from './crowd.ts';
import type { MtaSocket } from './handle-socket.ts';

/** All in milliseconds. */
export interface ConnectionTimeouts {
  /** From the connection to the MTA's first complete packet. */
  readonly negotiationMs: number;
  /** From the first byte of a packet to its last. */
  readonly packetMs: number;
  /** Silence between packets: an MTA waits here for its SMTP client, for up to an hour. */
  readonly idleMs: number;
  /** Between progress replies while the policy works on the end of a message. */
  readonly progressMs: number;
}

export interface ConnectionSettings {
  readonly policies: PolicyFactory;
  readonly log: Logger;
  readonly timeouts: ConnectionTimeouts;
  readonly limits: MessageLimits;
  /** A new id for each SMTP session. */
  readonly nextSessionId: () => string;
  readonly slices: SliceScheduler;
  /** Who is served when many have something; undefined: each at once. */
  readonly crowd?: Crowd | undefined;
  /** For the messages of all connections; undefined: without bound. */
  readonly room?: Room | undefined;
  /** Record connections; undefined: nobody does. */
  readonly tapes?: { begin(): ConnectionTape | undefined } | undefined;
}

/** What a connection says and hears, for a recording. */
export interface ConnectionTape {
  /** Runs work of the connection: what the policy asks meanwhile is recorded too. */
  within(work: () => void): void;
  /** A packet of the MTA, before it is handled. */
  heard(frame: Frame): void;
  said(reply: Reply): void;
  changed(modification: Modification): void;
  /** Nothing follows. */
  ended(): void;
}

/** Work of all connections that may keep others waiting. */
export interface SliceScheduler {
  /** When the event loop began to hand out what has come, the first time that somebody asks; `now` then. In milliseconds. */
  roundStart(now: number): number;
  /** The same, but when it has served slices before, since then: their time is not that of who is read from. */
  readStart(now: number): number;
  /** Calls `work` when its turn has come, never before the event loop has looked at its sockets. */
  add(work: () => void): void;
  /** Whether others have worked so long since the event loop looked at its sockets that who works long should wait. */
  readonly isRoundOver: boolean;
  /** Counts what has worked long. */
  readonly longStretches: number;
}

/**
 * How much is read from the MTA ahead of what is handled: enough that most messages fit, so that the end of the
 * connection is noticed while the policy works. The rest waits in the kernel.
 */
const READ_AHEAD_BYTES = 128 * 1024;
/** What a chunk costs beside its bytes, more or less: a peer may send them one by one. */
const CHUNK_OVERHEAD_BYTES = 512;

/** How long one connection's commands are handled before others have their turn. */
const TURN_MS = 5;
/** Commands between two looks at the clock where the policy is not at work: headers that are gathered, macros. */
const CHEAP_COMMANDS = 64;

/** What comes in such pieces is a body, of which each piece is work: others have their turn as where the policy works long. */
const BULKY_BYTES = 32 * 1024;

/** What a connection may have written to the log beyond what it sends. */
const LOG_BYTES = 64 * 1024;

/** Replies are gathered up to this and written together, when the MTA does not wait for each. */
const WRITE_BYTES = 16 * 1024;

/** Silence after which the kernel asks whether the MTA is still there. */
const KEEP_ALIVE_MS = 60_000;

const PROGRESS: Reply = { kind: 'progress' };
/** Events on which the policy may be at work while the MTA waits for the answer to the end of the message. */
const PROGRESSING: ReadonlySet<PolicyEvent['kind']> = new Set(['headers', 'chunk', 'endOfMessage']);

export class Connection implements MtaSide {
  readonly #socket: MtaSocket;
  readonly #settings: ConnectionSettings;
  readonly #decoder = new FrameDecoder();
  readonly #driver: SessionDriver;
  readonly #tape: ConnectionTape | undefined;
  /** Commands handled in this turn, and when it was first looked at; 0 before. */
  #handled = 0;
  #turnStart = 0;
  /** The policy was at work since the last look. */
  #worked = false;
  /** It worked long at the last event: the next waits where others have done so too. */
  #worksLong = false;
  /** The last piece that came was large. */
  #isBulky = false;
  /** Taken from the decoder and not handled yet: it waits for this connection's turn, as does what was sent behind it. */
  #nextFrame: Frame | undefined;
  #queued = false;
  /** No more commands are taken, the socket is about to close. */
  #closing = false;
  #gone = false;
  /** How many have come. */
  #packets = 0;
  /** Read since the last time that no whole packet was left. */
  #readAheadBytes = 0;
  /** Bytes that have come, those of log lines about them, and how many lines were not written. */
  #receivedBytes = 0;
  #loggedBytes = 0;
  #unlogged = 0;
  #output: Buffer[] = [];
  #outputBytes = 0;
  #packetTimer: NodeJS.Timeout | undefined;
  #progressTimer: NodeJS.Timeout | undefined;
  #finished: (() => void) | undefined;
  /** Settles when the socket is closed and the policy has been told. */
  readonly closed: Promise<void>;

  constructor(socket: MtaSocket, settings: ConnectionSettings) {
    this.#socket = socket;
    this.#settings = settings;
    this.#tape = settings.tapes?.begin();
    const { policies, limits, room, nextSessionId } = settings;
    this.#driver = new SessionDriver({ policies, limits, room, nextSessionId, info: this.#info() }, this);
    this.closed = new Promise((resolve) => {
      this.#finished = resolve;
    });
    const { timeouts } = settings;
    this.#packetTimer = setTimeout(() => {
      this.#fail(`no milter negotiation within ${timeouts.negotiationMs / 1000} s`);
    }, timeouts.negotiationMs);
    socket.setTimeout(timeouts.idleMs, () => {
      if (!this.#driver.waiting) this.#fail(`idle for ${timeouts.idleMs / 1000} s`);
    });
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('drain', () => this.#advance());
    socket.on('error', (error) => settings.log.debug(`${this.#driver.id}: ${error.message}`));
    socket.on('close', () => this.#lost());
  }

  /** Its turn among many has come. */
  readonly #served = (): void => {
    this.#queued = false;
    this.#beginTurn(0);
    this.#advance();
  };

  /** Ends the connection now, whatever is in progress. */
  destroy(): void {
    this.#socket.destroy();
  }

  keepAlive(): void {
    this.#socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  #receive(chunk: Buffer): void {
    this.#decoder.push(chunk);
    this.#receivedBytes += chunk.length;
    this.#readAheadBytes += chunk.length + CHUNK_OVERHEAD_BYTES;
    this.#isBulky = chunk.length >= BULKY_BYTES;
    // libuv hands out up to 2 MiB of one socket before it looks at others.
    if (this.#isBulky) this.#settings.slices.roundStart(performance.now());
    if (!this.#driver.waiting && !this.#queued) {
      const { crowd } = this.#settings;
      if (crowd?.isLarge) {
        this.#queued = true;
        crowd.add(this.#served);
        return;
      }
      this.#beginTurn(0);
    }
    this.#advance();
  }

  /** @param start of a turn of this connection's own; 0: the time is shared with all whose bytes have come by now */
  #beginTurn(start: number): void {
    this.#handled = 0;
    this.#turnStart = start;
    this.#worked = false;
  }

  /**
   * Whether others should have their turn before one more command is handled. Who sends one at a time never asks the clock,
   * unless his make the policy work long or are large.
   */
  #isTurnOver(): boolean {
    if ((this.#worksLong || this.#isBulky) && this.#turnStart === 0 && this.#settings.slices.isRoundOver)
      return true;
    if (this.#handled === 0 || !(this.#worked || this.#handled % CHEAP_COMMANDS === 0)) return false;
    this.#worked = false;
    const now = performance.now();
    if (this.#turnStart === 0) this.#turnStart = this.#settings.slices.readStart(now);
    return now - this.#turnStart > TURN_MS;
  }

  #waitForTurn(): void {
    this.#queued = true;
    this.#settings.slices.add(() => {
      this.#queued = false;
      this.#beginTurn(performance.now());
      this.#advance();
    });
  }

  /** Carries out steps and takes commands until there is nothing to do or something to wait for. */
  #advance(): void {
    if (this.#tape === undefined) this.#goOn();
    else this.#tape.within(() => this.#goOn());
  }

  #goOn(): void {
    const driver = this.#driver;
    if (driver.waiting || this.#queued) {
      if (this.#hasReadEnough) this.#socket.pause();
      return;
    }
    try {
      while (this.#carryOut() && !this.#isOutputBlocked()) {
        if (this.#closing || this.#gone) break;
        const frame = this.#nextFrame ?? this.#decoder.next();
        if (!frame) {
          this.#readAheadBytes = 0;
          break;
        }
        if (this.#isTurnOver()) {
          this.#nextFrame = frame;
          this.#waitForTurn();
          break;
        }
        this.#nextFrame = undefined;
        this.#packets += 1;
        this.#handled += 1;
        if (this.#packets === 1) this.#stopNegotiationTimer();
        this.#tape?.heard(frame);
        driver.receive(decodeCommand(frame));
      }
    } catch (error) {
      if (this.#gone) driver.abandon();
      this.#broken(error);
    }
    this.flush();
    if (this.#gone) {
      if (driver.isIdle) this.#finish();
      return;
    }
    this.#watchPacket();
    if (driver.waiting || this.#queued || this.#socket.writableNeedDrain) {
      if (this.#hasReadEnough) this.#socket.pause();
    } else if (this.#socket.isPaused()) {
      this.#socket.resume();
    }
  }

  /** What comes in large pieces, and waits for its turn, costs others their time already where it is read. */
  get #hasReadEnough(): boolean {
    return this.#readAheadBytes > READ_AHEAD_BYTES || (this.#isBulky && this.#queued);
  }

  /** @returns false while the policy works on an event. */
  #carryOut(): boolean {
    const { slices } = this.#settings;
    const [events, longStretches] = [this.#driver.events, slices.longStretches];
    const isDone = this.#driver.carryOut();
    if (this.#driver.events !== events) {
      this.#worked = true;
      this.#worksLong = slices.longStretches !== longStretches;
    }
    return isDone;
  }

  send(reply: Reply): void {
    this.#tape?.said(reply);
    this.#put(encodeReply(reply));
  }

  modify(modification: Modification): void {
    this.#tape?.changed(modification);
    for (const packet of encodeModification(modification)) this.#put(packet);
  }

  hangUp(): void {
    this.flush();
    this.#closing = true;
    // Everything is with the kernel, as nearly always: destroySoon() would make it two system calls and two turns.
    if (this.#socket.writableLength === 0) this.#socket.destroy();
    else this.#socket.destroySoon();
  }

  warn(message: string): void {
    if (this.#mayLog(message.length)) this.#settings.log.warning(`${this.#driver.id}: ${message}`);
  }

  waits(event: PolicyEvent, asked: boolean): void {
    if (!asked || !PROGRESSING.has(event.kind)) return;
    this.#progressTimer = setInterval(() => this.#reportProgress(), this.#settings.timeouts.progressMs);
  }

  goesOn(failure: Failure | undefined): void {
    clearInterval(this.#progressTimer);
    if (failure !== undefined) this.#broken(failure.error);
    this.#advance();
  }

  #reportProgress(): void {
    if (this.#gone || this.#socket.writableNeedDrain) return;
    const endIsQueued = (): boolean => this.#decoder.hasQueued(SMFIC.BODYEOB);
    if (this.#driver.mayReportProgress(endIsQueued)) this.#socket.write(encodeReply(PROGRESS));
  }

  /** The first complete packet has come. */
  #stopNegotiationTimer(): void {
    clearTimeout(this.#packetTimer);
    this.#packetTimer = undefined;
  }

  #info(): NonNullable<DriverSettings['info']> {
    return { mayLog: (bytes) => this.#mayLog(bytes), keptBytes: () => this.#readAheadBytes };
  }

  /** @param bytes of a line */
  #mayLog(bytes: number): boolean {
    const after = this.#loggedBytes + bytes;
    const may = after <= LOG_BYTES + this.#receivedBytes;
    if (may) this.#loggedBytes = after;
    else this.#unlogged += 1;
    return may;
  }

  #put(packet: Buffer): void {
    this.#output.push(packet);
    this.#outputBytes += packet.length;
  }

  /** One write for everything that is ready. */
  flush(): void {
    const output = this.#output;
    if (output.length === 0) return;
    this.#output = [];
    this.#outputBytes = 0;
    if (this.#gone) return;
    this.#socket.write(output.length === 1 && output[0] ? output[0] : Buffer.concat(output));
  }

  #isOutputBlocked(): boolean {
    if (this.#outputBytes >= WRITE_BYTES) this.flush();
    return this.#socket.writableNeedDrain;
  }

  /** A packet that has begun must end soon; between packets an MTA may be silent for long. */
  #watchPacket(): void {
    if (this.#packetTimer || !this.#driver.hasBegun || !this.#isMidPacket()) return;
    const { packetMs } = this.#settings.timeouts;
    const begun = this.#packets;
    this.#packetTimer = setTimeout(() => {
      this.#packetTimer = undefined;
      // Packets may follow one another without a pause between them in which this would be seen.
      if (this.#packets !== begun || !this.#isMidPacket()) this.#watchPacket();
      else this.#fail(`a packet not complete after ${packetMs / 1000} s`);
    }, packetMs);
  }

  #isMidPacket(): boolean {
    return this.#decoder.midFrame && !this.#driver.waiting && !this.#queued && !this.#closing;
  }

  #broken(error: unknown): void {
    if (error instanceof ProtocolError) {
      this.#fail(error.message);
    } else {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#settings.log.error(`${this.#driver.id}: internal error, connection closed: ${text}`);
      this.#output = [];
      this.#outputBytes = 0;
      this.#closing = true;
      this.#socket.destroy();
    }
  }

  #fail(reason: string): void {
    const peer = this.#socket.remoteAddress
      ? `${this.#socket.remoteAddress}:${this.#socket.remotePort}`
      : 'unix socket';
    this.#settings.log.warning(`${this.#driver.id}: connection from ${peer} closed: ${reason}`);
    this.flush();
    this.#closing = true;
    this.#socket.destroy();
  }

  /** The socket is closed. What the policy works on for the MTA is cancelled; what it is told at the end it finishes. */
  #lost(): void {
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#packetTimer);
    clearInterval(this.#progressTimer);
    this.#driver.end();
    this.#advance();
  }

  #finish(): void {
    if (this.#unlogged > 0) {
      const lines = `${this.#unlogged} lines about this connection were not written`;
      this.#settings.log.warning(`${this.#driver.id}: ${lines}: they were longer than what it sent`);
    }
    this.#driver.dispose();
    this.#tape?.ended();
    this.#finished?.();
  }
}
