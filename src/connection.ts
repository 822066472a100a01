/**
 * One MTA's socket: bytes in, session steps out.
 *
 * Commands are handled strictly one after another: while the policy works on an event nothing more is taken from the
 * socket than fits the buffers, and while the MTA does not read its replies nothing more is handled.
 */
import type { MtaSocket } from './handle-socket.ts';
import type { Logger } from './log.ts';
import type { Command } from './milter/command.ts';
import { SMFIC } from './milter/constants.ts';
import { decodeCommand } from './milter/decode-command.ts';
import { encodeModification, encodeReply } from './milter/encode-reply.ts';
import { FrameDecoder } from './milter/frame-decoder.ts';
import type { Policy, PolicyEvent, PolicyFactory, SessionInfo, Verdict } from './milter/policy.ts';
import { ProtocolError } from './milter/protocol-error.ts';
import type { Reply } from './milter/reply.ts';
import { Session, type Step } from './milter/session.ts';
import type { MessageLimits } from './milter/transaction.ts';

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
}

/**
 * How much is read from the MTA ahead of what is handled: enough that most messages fit, so that the end of the
 * connection is noticed while the policy works. The rest waits in the kernel.
 */
const READ_AHEAD_BYTES = 128 * 1024;
/** What a chunk costs beside its bytes, more or less: a peer may send them one by one. */
const CHUNK_OVERHEAD_BYTES = 512;

/** Replies are gathered up to this and written together, when the MTA does not wait for each. */
const WRITE_BYTES = 16 * 1024;

/** Silence after which the kernel asks whether the MTA is still there. */
const KEEP_ALIVE_MS = 60_000;

const NO_STEPS: readonly Step[] = [];
const PROGRESS: Reply = { kind: 'progress' };
/** Events on which the policy may be at work while the MTA waits for the answer to the end of the message. */
const PROGRESSING: ReadonlySet<PolicyEvent['kind']> = new Set(['headers', 'chunk', 'endOfMessage']);

export class Connection {
  readonly #socket: MtaSocket;
  readonly #settings: ConnectionSettings;
  readonly #decoder = new FrameDecoder();
  #id: string;
  #session: Session | undefined;
  #policy: Policy | undefined;
  /** Steps still to carry out; `#next` is the index of the first of them. */
  #steps: readonly Step[] = NO_STEPS;
  #next = 0;
  /** The policy works on an event; its promise will go on with the steps. */
  #waiting = false;
  /** The event it works on decides something the MTA waits for. */
  #asking = false;
  /** No more commands are taken, the socket is about to close. */
  #closing = false;
  #gone = false;
  /** How many have come. */
  #packets = 0;
  /** Read since the last time that no whole packet was left. */
  #readAheadBytes = 0;
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
    this.#id = settings.nextSessionId();
    this.closed = new Promise((resolve) => {
      this.#finished = resolve;
    });
    const { timeouts } = settings;
    this.#packetTimer = setTimeout(() => {
      this.#fail(`no milter negotiation within ${timeouts.negotiationMs / 1000} s`);
    }, timeouts.negotiationMs);
    socket.setTimeout(timeouts.idleMs, () => {
      if (!this.#waiting) this.#fail(`idle for ${timeouts.idleMs / 1000} s`);
    });
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('drain', () => this.#advance());
    socket.on('error', (error) => settings.log.debug(`${this.#id}: ${error.message}`));
    socket.on('close', () => this.#lost());
  }

  /** Ends the connection now, whatever is in progress. */
  destroy(): void {
    this.#socket.destroy();
  }

  keepAlive(): void {
    this.#socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  #receive(chunk: Buffer): void {
    this.#decoder.push(chunk);
    this.#readAheadBytes += chunk.length + CHUNK_OVERHEAD_BYTES;
    this.#advance();
  }

  /** Carries out steps and takes commands until there is nothing to do or something to wait for. */
  #advance(): void {
    if (this.#waiting) {
      if (this.#readAheadBytes > READ_AHEAD_BYTES) this.#socket.pause();
      return;
    }
    try {
      while (!this.#waiting && this.#carryOut() && !this.#isOutputBlocked()) {
        if (this.#closing || this.#gone) break;
        const frame = this.#decoder.next();
        if (!frame) {
          this.#readAheadBytes = 0;
          break;
        }
        this.#packets += 1;
        const command = decodeCommand(frame);
        if (this.#session) this.#take(this.#session.receive(command));
        else this.#begin(command);
      }
    } catch (error) {
      this.#broken(error);
    }
    this.#flush();
    if (this.#gone) {
      if (!this.#waiting && this.#next >= this.#steps.length) this.#finish();
      return;
    }
    this.#watchPacket();
    if (this.#waiting || this.#socket.writableNeedDrain) {
      if (this.#readAheadBytes > READ_AHEAD_BYTES) this.#socket.pause();
    } else if (this.#socket.isPaused()) {
      this.#socket.resume();
    }
  }

  #take(steps: readonly Step[]): void {
    this.#steps = steps;
    this.#next = 0;
  }

  /** @returns false while the policy works on an event. */
  #carryOut(): boolean {
    for (let step = this.#steps[this.#next]; step; step = this.#steps[this.#next]) {
      this.#next += 1;
      switch (step.kind) {
        case 'send':
          this.#put(encodeReply(step.reply));
          this.#policy?.replied?.(step.reply);
          break;
        case 'modify':
          for (const packet of encodeModification(step.modification)) this.#put(packet);
          break;
        case 'hangUp':
          this.#flush();
          this.#closing = true;
          // Everything is with the kernel, as nearly always: destroySoon() would make it two system calls and two turns.
          if (this.#socket.writableLength === 0) this.#socket.destroy();
          else this.#socket.destroySoon();
          break;
        case 'again':
          if (this.#session) this.#take(this.#session.receive(step.command));
          break;
        case 'warn':
          this.#settings.log.warning(`${this.#id}: ${step.message}`);
          break;
        case 'tell':
        case 'ask': {
          // What the MTA waits for goes out before the policy is told of a thing that needs no answer.
          if (step.kind === 'tell') this.#flush();
          const verdict = this.#handle(step.event);
          if (verdict instanceof Promise) {
            this.#wait(step.event, step.kind === 'ask', verdict);
            return false;
          }
          this.#settle(step.event, step.kind === 'ask', verdict);
          break;
        }
        default:
          step satisfies never;
      }
    }
    return true;
  }

  #handle(event: PolicyEvent): Verdict | Promise<Verdict> {
    if (this.#policy) return this.#policy.handle(event);
    this.#id = this.#settings.nextSessionId();
    const opened = this.#openPolicy();
    return opened instanceof Promise ? opened.then((policy) => policy.handle(event)) : opened.handle(event);
  }

  #settle(event: PolicyEvent, asked: boolean, verdict: Verdict): void {
    if (event.kind === 'close') {
      this.#policy?.dispose();
      this.#policy = undefined;
    }
    if (asked && this.#session && !this.#gone) this.#take(this.#session.answer(verdict));
  }

  #wait(event: PolicyEvent, asked: boolean, verdict: Promise<Verdict>): void {
    this.#waiting = true;
    this.#asking = asked;
    if (asked && PROGRESSING.has(event.kind)) {
      this.#progressTimer = setInterval(() => this.#reportProgress(), this.#settings.timeouts.progressMs);
    }
    const goOn = (settle: () => void) => {
      clearInterval(this.#progressTimer);
      this.#waiting = false;
      this.#asking = false;
      try {
        settle();
      } catch (error) {
        this.#broken(error);
      }
      if (this.#gone) this.#takeEnd();
      this.#advance();
    };
    verdict.then(
      (settled) => goOn(() => this.#settle(event, asked, settled)),
      (error) => goOn(() => this.#broken(error)),
    );
  }

  #reportProgress(): void {
    if (this.#gone || this.#socket.writableNeedDrain) return;
    const endIsQueued = (): boolean => this.#decoder.hasQueued(SMFIC.BODYEOB);
    if (this.#session?.mayReportProgress(endIsQueued)) this.#socket.write(encodeReply(PROGRESS));
  }

  /** The first complete packet has come: from here on there is a policy. */
  #begin(first: Command): void {
    clearTimeout(this.#packetTimer);
    this.#packetTimer = undefined;
    const start = (policy: Policy): void => {
      this.#session = new Session(policy.needs, this.#settings.limits);
      this.#take(this.#session.receive(first));
    };
    const opened = this.#openPolicy();
    if (!(opened instanceof Promise)) {
      start(opened);
      return;
    }
    this.#waiting = true;
    const begun = opened.then((policy) => {
      this.#waiting = false;
      if (!this.#gone) start(policy);
    });
    begun
      .catch((error: unknown) => {
        this.#waiting = false;
        this.#broken(error);
      })
      .then(() => this.#advance());
  }

  #openPolicy(): Policy | Promise<Policy> {
    const info: SessionInfo = {
      id: this.#id,
      macros: { get: (name) => this.#session?.macros.get(name) },
      grantedActions: () => this.#session?.agreement?.actions ?? 0,
    };
    const keep = (policy: Policy): Policy => {
      this.#policy = policy;
      return policy;
    };
    const opened = this.#settings.policies.open(info);
    return opened instanceof Promise ? opened.then(keep) : keep(opened);
  }

  #put(packet: Buffer): void {
    this.#output.push(packet);
    this.#outputBytes += packet.length;
  }

  /** One write for everything that is ready. */
  #flush(): void {
    const output = this.#output;
    if (output.length === 0) return;
    this.#output = [];
    this.#outputBytes = 0;
    if (this.#gone) return;
    this.#socket.write(output.length === 1 && output[0] ? output[0] : Buffer.concat(output));
  }

  #isOutputBlocked(): boolean {
    if (this.#outputBytes >= WRITE_BYTES) this.#flush();
    return this.#socket.writableNeedDrain;
  }

  /** A packet that has begun must end soon; between packets an MTA may be silent for long. */
  #watchPacket(): void {
    if (this.#packetTimer || !this.#session || !this.#isMidPacket()) return;
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
    return this.#decoder.midFrame && !this.#waiting && !this.#closing;
  }

  #broken(error: unknown): void {
    if (this.#gone) this.#take(NO_STEPS);
    if (error instanceof ProtocolError) {
      this.#fail(error.message);
    } else {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#settings.log.error(`${this.#id}: internal error, connection closed: ${text}`);
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
    this.#settings.log.warning(`${this.#id}: connection from ${peer} closed: ${reason}`);
    this.#flush();
    this.#closing = true;
    this.#socket.destroy();
  }

  /** The socket is closed. What the policy works on for the MTA is cancelled; what it is told at the end it finishes. */
  #lost(): void {
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#packetTimer);
    clearInterval(this.#progressTimer);
    if (this.#waiting) {
      if (this.#asking) this.#policy?.cancel();
      return;
    }
    this.#takeEnd();
    this.#advance();
  }

  #takeEnd(): void {
    const rest = this.#steps.slice(this.#next).filter((step) => step.kind === 'tell');
    this.#take([...rest, ...(this.#session?.end() ?? NO_STEPS)]);
  }

  #finish(): void {
    this.#policy?.dispose();
    this.#policy = undefined;
    this.#finished?.();
  }
}
