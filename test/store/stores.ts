/** The stores that the suite runs on, each empty, with a way to let time pass. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, Patience } from '../../src/asking/answer.ts';
import type { Operation } from '../../src/store/operation.ts';
import { SharedStore, type StoreSettings } from '../../src/store/store.ts';
import { parseStoreAddress } from '../../src/store/store-address.ts';
import { REDIS, type RealService, startService } from '../helpers/real-service.ts';

export interface TestStore {
  readonly store: SharedStore;
  readonly lines: string[];
  /** Does an operation; what could not be found out is a text. */
  run<Result>(operation: Operation<Result>): Promise<Result | string>;
  /** Time passes: on a clock of the test, or really. */
  pass(ms: number): Promise<void>;
  /**
   * Does what is about times: again, with another key, where the clock is a real one, the machine held the test for longer
   * than such times bear, and it has failed for that.
   */
  timely(test: (key: string) => Promise<void>): Promise<void>;
  /** The clock is set back or forward; undefined where the test has no hand on it. */
  readonly jump: ((ms: number) => void) | undefined;
  end(): Promise<void>;
}

/** Beside the time that is let pass a test takes some milliseconds; its times bear this much. */
const HELD_MS = 40;
const MOST_TRIES = 100;

let keys = 0;

function newKey(): string {
  keys += 1;
  return `timely ${keys}`;
}

export const patience = (timeoutMs = 5000): Patience => ({
  timeoutMs,
  cancelled: new AbortController().signal,
});

export function valueIn<Value>(answer: Answer<Value>): Value | string {
  return answer.kind === 'known' ? answer.value : answer.reason;
}

export function openStore(address: string, settings: Partial<StoreSettings> = {}) {
  const lines: string[] = [];
  const store = new SharedStore(
    {
      address: parseStoreAddress(address),
      maxBytes: 1e9,
      prefix: 'smtpf:',
      now: () => Date.now(),
      sweeps: false,
      ...settings,
    },
    { warning: (line) => lines.push(line), notice: (line) => lines.push(line) },
  );
  return { store, lines };
}

/** @param isAtOnce asked as policies do: without waiting where that can be */
function local(address: string, end: () => void, isAtOnce = false): TestStore {
  let now = Date.now();
  const { store, lines } = openStore(address, { now: () => now });
  const jump = (ms: number) => {
    now += ms;
  };
  return {
    store,
    lines,
    run: async (operation) => {
      const answer = isAtOnce ? store.now(operation) : undefined;
      return valueIn(answer ?? (await store.run(operation, patience())));
    },
    pass: async (ms) => jump(ms),
    timely: (test) => test(newKey()),
    jump,
    end: async () => {
      await store.close();
      end();
    },
  };
}

async function redis(): Promise<TestStore> {
  const service: RealService = await startService(REDIS);
  const { store, lines } = openStore(`redis://127.0.0.1:${service.port}`);
  await connected(store);
  let passed = 0;
  return {
    store,
    lines,
    run: async (operation) => valueIn(await store.run(operation, patience())),
    pass: (ms) => {
      passed += ms + 20;
      return sleep(ms + 20);
    },
    timely: async (test) => {
      for (let tries = 1; ; tries += 1) {
        passed = 0;
        const began = performance.now();
        try {
          return await test(newKey());
        } catch (error) {
          if (tries === MOST_TRIES || performance.now() - began - passed < HELD_MS) throw error;
        }
      }
    },
    jump: undefined,
    end: async () => {
      await store.close();
      await service.stop();
    },
  };
}

/** Waits until a store answers that has just been opened. */
export async function connected(store: SharedStore): Promise<void> {
  const end = performance.now() + 100_000;
  for (;;) {
    const answer = await store.list(Buffer.from('none'), undefined, patience(30_000));
    if (answer.kind === 'known') return;
    if (performance.now() > end) throw new Error(answer.reason);
    await sleep(50);
  }
}

export function scratch(): string {
  return mkdtempSync(join(tmpdir(), 'smtpf-milter-store-'));
}

async function file(isAtOnce: boolean): Promise<TestStore> {
  const directory = scratch();
  const end = () => rmSync(directory, { recursive: true, force: true });
  return local(`lmdb:${directory}/store`, end, isAtOnce);
}

export const STORES: Readonly<Record<string, () => Promise<TestStore>>> = {
  memory: async () => local('memory', () => {}),
  lmdb: () => file(false),
  'lmdb, at once': () => file(true),
  redis,
};
