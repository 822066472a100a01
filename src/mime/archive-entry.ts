/** What is known of a file in an archive, whatever kind the archive is of. */

/** What is odd about an archive, or was not looked at. */
export type ArchiveDefect =
  | 'no directory'
  | 'file not in the directory'
  | 'names that differ'
  | 'cut off'
  | 'not read'
  | 'names'
  | 'depth'
  | 'size'
  | 'ratio';

export interface ArchiveEntry {
  /** Bytes in latin1. That of a folder ends in `/`. */
  readonly name: string;
  /** That they are in. */
  readonly charset: 'utf-8' | 'cp437';
  /** Bytes when it is unpacked, as the archive says. */
  readonly size: number;
  readonly isEncrypted: boolean;
}

export interface NameLimits {
  readonly names: number;
  /** Bytes of all names. */
  readonly nameBytes: number;
}

/** Entries as they are listed, within the limits. */
export class Listing<Entry extends ArchiveEntry> {
  readonly entries: Entry[] = [];
  readonly #limits: NameLimits;
  readonly #defects: Set<ArchiveDefect>;
  #nameBytes = 0;

  constructor(limits: NameLimits, defects: Set<ArchiveDefect>) {
    this.#limits = limits;
    this.#defects = defects;
  }

  /** @returns false for one beyond the limits, which is a defect */
  add(entry: Entry): boolean {
    this.#nameBytes += entry.name.length;
    if (this.entries.length >= this.#limits.names || this.#nameBytes > this.#limits.nameBytes) {
      this.#defects.add('names');
      return false;
    }
    this.entries.push(entry);
    return true;
  }
}

/** A text of JavaScript as its bytes in UTF-8. */
export function utf8Name(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
