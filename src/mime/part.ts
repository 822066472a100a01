/** The parts of a message: where each lies, and what its headers say. */
import type { ByteSource } from './byte-source.ts';
import type { HeaderBlock, ParameterText, ParameterValue } from './header-block.ts';

/** How a body is encoded. One that nobody knows is read as it stands. */
export type Encoding = 'identity' | 'base64' | 'quoted-printable' | 'uuencode';

/**
 * What is not as the standards have it, or was not looked at. Who hides something from a scanner works with these: mail
 * programs differ in what they make of them.
 */
export type Defect =
  | 'bare CR'
  | 'bare LF'
  | 'NUL'
  | 'a header that is none'
  | 'long header'
  | 'two Content-Type'
  | 'two Content-Transfer-Encoding'
  | 'two names'
  | 'no boundary'
  | 'boundary used twice'
  | 'no part'
  | 'no final boundary'
  | 'a part after the final boundary'
  | 'encoded multipart'
  | 'unknown encoding'
  | 'junk in base64'
  | 'base64 after its end'
  | 'junk in quoted-printable'
  | 'no end of uuencode'
  | 'uuencode in text'
  | 'depth'
  | 'parts'
  | 'size';

export interface Part {
  /** Where its bytes are: the message, or what was decoded from a part around it. */
  readonly source: ByteSource;
  /** Whether the source is the message itself, so that the part can be changed in its place. */
  readonly isInMessage: boolean;
  /** A file in uuencode in the text of the part around it. */
  readonly isUuencoded: boolean;
  /** First byte of the delimiter line before it; that of the part without one. */
  readonly delimiterStart: number;
  readonly headerStart: number;
  readonly bodyStart: number;
  /** Behind the last byte of the body: the line end before a delimiter belongs to that. */
  readonly end: number;
  readonly parent: Part | undefined;
  readonly children: readonly Part[];
  /** 0 for the message. */
  readonly depth: number;
  readonly headers: HeaderBlock;
  /** `text/plain`, in lower case. */
  readonly type: string;
  readonly contentType: ParameterValue;
  readonly disposition: ParameterValue | undefined;
  readonly encoding: Encoding;
  /** What delimits the parts in it: each that some program might take. Text is latin1. */
  readonly boundaries: readonly string[];
  /** Where file names stand, the one that most programs show first; words (RFC 2047) are not decoded. */
  readonly names: readonly ParameterText[];
  /** Of the headers, without `<` and `>`; undefined without one. */
  readonly id: string | undefined;
}

export interface MimeTree {
  /** Depth first, the message itself first. */
  readonly parts: readonly Part[];
  readonly defects: ReadonlySet<Defect>;
}

export function isMultipart(type: string): boolean {
  return type.startsWith('multipart/');
}

const MESSAGES = ['message/rfc822', 'message/global', 'message/news', 'message/external-body'];

/** Whether headers follow in a part of this type: those of a message, or of a file elsewhere. */
export function isMessage(type: string): boolean {
  return MESSAGES.includes(type);
}
