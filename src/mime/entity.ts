/** A part while it is read. */
import type { ByteSource } from './byte-source.ts';
import {
  type HeaderBlock,
  type ParameterText,
  type ParameterValue,
  parseHeaderBlock,
  parseParameterValue,
} from './header-block.ts';
import { type Defect, type Encoding, isMultipart, type Part } from './part.ts';

const PLAIN: ParameterValue = { value: 'text/plain', parameters: new Map() };
const MESSAGE: ParameterValue = { value: 'message/rfc822', parameters: new Map() };
const NO_HEADERS: HeaderBlock = { lines: [], complete: true, isCut: false };
/** RFC 2046 has 70; programs take more. */
const MAX_BOUNDARY = 8192;
/** Bytes of an encoding's name that are looked at, comments included. */
const MAX_ENCODING = 200;

export interface Place {
  readonly source: ByteSource;
  readonly isInMessage: boolean;
  readonly delimiterStart: number;
  readonly headerStart: number;
  readonly parent: Entity | undefined;
  readonly depth: number;
}

export class Entity implements Part {
  readonly source: ByteSource;
  readonly isInMessage: boolean;
  readonly delimiterStart: number;
  readonly headerStart: number;
  readonly parent: Entity | undefined;
  readonly children: Entity[] = [];
  isUuencoded = false;
  readonly depth: number;
  bodyStart: number;
  end: number;
  headers: HeaderBlock = NO_HEADERS;
  contentType: ParameterValue = PLAIN;
  disposition: ParameterValue | undefined;
  encoding: Encoding = 'identity';
  names: readonly ParameterText[] = [];
  id: string | undefined;
  /** What delimits its parts: each that some program might take. Text is latin1. */
  boundaries: string[] = [];
  /** Further Content-Types, which some programs take in place of the first. */
  otherTypes: readonly ParameterValue[] = [];
  isClosed = false;

  constructor({ source, isInMessage, delimiterStart, headerStart, parent, depth }: Place) {
    this.source = source;
    this.isInMessage = isInMessage;
    this.delimiterStart = delimiterStart;
    this.headerStart = headerStart;
    this.bodyStart = headerStart;
    this.end = headerStart;
    this.parent = parent;
    this.depth = depth;
  }

  get type(): string {
    return this.contentType.value;
  }

  /** Takes the header block. @param text latin1 */
  takeHeaders(text: string, bodyStart: number, defects: Set<Defect>): void {
    const headers = parseHeaderBlock(text);
    if (!headers.complete) defects.add('a header that is none');
    if (headers.isCut) defects.add('long header');
    const valuesOf = (name: string) =>
      headers.lines.filter((line) => line.name === name).map(({ value }) => value);
    const types = valuesOf('content-type').map(parseParameterValue);
    const isInDigest = this.parent?.type === 'multipart/digest';
    this.headers = headers;
    this.bodyStart = bodyStart;
    this.contentType = types[0] ?? (isInDigest ? MESSAGE : PLAIN);
    if (!this.contentType.value.includes('/'))
      this.contentType = { ...this.contentType, value: 'text/plain' };
    this.otherTypes = types.slice(1);
    if (types.length > 1) defects.add('two Content-Type');
    this.#takeEncoding(valuesOf('content-transfer-encoding'), defects);
    const dispositions = valuesOf('content-disposition').map(parseParameterValue);
    this.disposition = dispositions[0];
    this.names = [
      ...dispositions.flatMap(({ parameters }) => parameters.get('filename') ?? []),
      ...types.flatMap(({ parameters }) => parameters.get('name') ?? []),
    ];
    if (new Set(this.names.map(({ text: name }) => name)).size > 1) defects.add('two names');
    this.id = valuesOf('content-id')[0]
      ?.trim()
      .replace(/^<(.*)>$/, '$1');
    this.#takeBoundaries(types, defects);
  }

  #takeEncoding(values: readonly string[], defects: Set<Defect>): void {
    if (values.length > 1) defects.add('two Content-Transfer-Encoding');
    const word = (values[0] ?? '7bit')
      .slice(0, MAX_ENCODING)
      .replace(/\([^)]*\)/g, '')
      .replace(/[\s";]+/g, '')
      .toLowerCase();
    switch (word) {
      case 'base64':
      case 'quoted-printable':
        this.encoding = word;
        break;
      case 'x-uuencode':
      case 'uuencode':
      case 'x-uue':
      case 'uue':
        this.encoding = 'uuencode';
        break;
      case '':
      case '7bit':
      case '7-bit':
      case '8bit':
      case '8-bit':
      case 'binary':
        break;
      default:
        defects.add('unknown encoding');
    }
  }

  #takeBoundaries(types: readonly ParameterValue[], defects: Set<Defect>): void {
    const multiparts = types.filter(({ value }) => isMultipart(value));
    if (multiparts.length === 0) return;
    const given = multiparts.flatMap(({ parameters }) => parameters.get('boundary') ?? []);
    // Trailing blanks cannot be seen in a delimiter line.
    const texts = given.map(({ text }) => text.slice(0, MAX_BOUNDARY).replace(/[ \t]+$/, ''));
    this.boundaries = [...new Set(texts.filter((text) => text !== ''))];
    if (this.boundaries.length !== 1) defects.add('no boundary');
    for (let around = this.parent; around; around = around.parent) {
      if (around.boundaries.some((text) => this.boundaries.includes(text)))
        defects.add('boundary used twice');
    }
  }
}
