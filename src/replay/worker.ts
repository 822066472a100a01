/** A process that replays sessions for parallel.ts, batch after batch. */
import type { SessionPlace } from '../recording/session-file.ts';
import { type Replayed, type ReplaySettings, SessionReplay } from './session-replay.ts';

export type ToReplayWorker =
  | { readonly kind: 'start'; readonly settings: ReplaySettings }
  | { readonly kind: 'batch'; readonly places: readonly SessionPlace[] };

/** Of a batch. */
export interface FromReplayWorker {
  readonly replayed: readonly Replayed[];
}

let replay: SessionReplay | undefined;

async function obey(message: ToReplayWorker): Promise<void> {
  if (message.kind === 'start') {
    replay = new SessionReplay(message.settings);
    await replay.problem(); // Has the script compiled and tried, once.
    return;
  }
  const replayed: Replayed[] = [];
  for (const place of message.places) if (replay) replayed.push(await replay.replay(place));
  process.send?.({ replayed } satisfies FromReplayWorker);
}

let last = Promise.resolve();
process.on('message', (message: ToReplayWorker) => {
  last = last.then(() => obey(message));
});
process.on('disconnect', () => {
  replay?.close();
  process.exit();
});
