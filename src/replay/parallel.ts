/** Replays all sessions of a recording: few in this process, many in several. */
import { type ChildProcess, fork } from 'node:child_process';
import type { SessionPlace } from '../recording/session-file.ts';
import { type Replayed, type ReplaySettings, SessionReplay } from './session-replay.ts';
import type { FromReplayWorker, ToReplayWorker } from './worker.ts';

/** From so many sessions on a process of its own is worth its start. */
const WORTH_A_PROCESS = 200;
const BATCH = 20;
/** Batches that a process has before it, so that it never waits. */
const AHEAD = 2;

/**
 * @param jobs at most so many processes
 * @param done is given what came of each session, in any order
 * @throws an Error when a process ends
 */
export async function replayAll(
  places: readonly SessionPlace[],
  settings: ReplaySettings,
  jobs: number,
  done: (replayed: Replayed) => void,
): Promise<void> {
  const processes = Math.min(jobs, Math.ceil(places.length / WORTH_A_PROCESS));
  if (processes <= 1) return replayHere(places, settings, done);
  const queue: SessionPlace[][] = [];
  for (let at = 0; at < places.length; at += BATCH) queue.push(places.slice(at, at + BATCH));
  await Promise.all(Array.from({ length: processes }, () => work(queue, settings, done)));
}

async function replayHere(
  places: readonly SessionPlace[],
  settings: ReplaySettings,
  done: (replayed: Replayed) => void,
): Promise<void> {
  const replay = new SessionReplay(settings);
  try {
    for (const place of places) done(await replay.replay(place));
  } finally {
    replay.close();
  }
}

function work(
  queue: SessionPlace[][],
  settings: ReplaySettings,
  done: (replayed: Replayed) => void,
): Promise<void> {
  const child = start();
  const send = (message: ToReplayWorker) => child.send(message);
  let open = 0;
  const sendNext = (): void => {
    const places = queue.shift();
    if (places === undefined) return;
    open += 1;
    send({ kind: 'batch', places });
  };
  return new Promise((resolve, reject) => {
    child.on('message', ({ replayed }: FromReplayWorker) => {
      for (const one of replayed) done(one);
      open -= 1;
      sendNext();
      if (open > 0) return;
      child.disconnect();
      resolve();
    });
    child.once('exit', (code, signal) => {
      if (open > 0) reject(new Error(`a process that replays has ended: ${signal ?? `exit code ${code}`}`));
    });
    send({ kind: 'start', settings });
    for (let i = 0; i < AHEAD; i++) sendNext();
    if (open > 0) return;
    child.disconnect();
    resolve();
  });
}

function start(): ChildProcess {
  const here = import.meta.url;
  return fork(new URL(`./worker-main${here.slice(here.lastIndexOf('.'))}`, here), {
    serialization: 'advanced',
  });
}
