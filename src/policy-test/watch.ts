/** Waits for changes of files, by the directories they are in: editors put new files in the place of old ones. */
import { type FSWatcher, watch } from 'node:fs';
import { dirname, join } from 'node:path';

/** Editors write a file in several steps. */
const SETTLE_MS = 100;

export class FileWatch {
  readonly #isRelevant: (path: string) => boolean;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #changed = new Set<string>();
  #wake: (() => void) | undefined;

  /** @param isRelevant whether a change of the file at this absolute path counts */
  constructor(isRelevant: (path: string) => boolean) {
    this.#isRelevant = isRelevant;
  }

  /** Watches the directories of these files too; absolute paths. */
  add(files: Iterable<string>): void {
    for (const directory of new Set([...files].map((file) => dirname(file)))) {
      if (this.#watchers.has(directory)) continue;
      try {
        this.#watchers.set(
          directory,
          watch(directory, (_event, name) => {
            if (name !== null) this.#notice(join(directory, name));
          }).on('error', () => this.#watchers.delete(directory)),
        );
      } catch {
        // A directory that is not there cannot change.
      }
    }
  }

  /** The files that have changed since the last call, as soon as there are any. */
  async next(): Promise<string[]> {
    while (this.#changed.size === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }

  #notice(path: string): void {
    if (!this.#isRelevant(path)) return;
    this.#changed.add(path);
    this.#wake?.();
  }
}
