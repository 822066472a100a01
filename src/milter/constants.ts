/**
 * The numbers of the milter protocol under libmilter's names: `SMFIC_CONNECT` is `SMFIC.CONNECT`.
 *
 * Source: libmilter 8.17 mfdef.h and mfapi.h. A number in a comment is the protocol version that brought the constant;
 * without one it is of version 2, the oldest spoken today. `8.13` means: came with that Sendmail, without a new version.
 */

/** SMFIC_*: command bytes, MTA to filter. */
export const SMFIC = {
  ABORT: 0x41, // 'A'
  BODY: 0x42, // 'B'
  CONNECT: 0x43, // 'C'
  MACRO: 0x44, // 'D'
  BODYEOB: 0x45, // 'E'
  HELO: 0x48, // 'H'
  QUIT_NC: 0x4b, // 'K' 6
  HEADER: 0x4c, // 'L'
  MAIL: 0x4d, // 'M'
  EOH: 0x4e, // 'N'
  OPTNEG: 0x4f, // 'O'
  QUIT: 0x51, // 'Q'
  RCPT: 0x52, // 'R'
  DATA: 0x54, // 'T' 4
  UNKNOWN: 0x55, // 'U' 3
} as const;

/** SMFIR_*: reply bytes, filter to MTA. The answer to SMFIC_OPTNEG has that command's own byte. */
export const SMFIR = {
  ADDRCPT: 0x2b, // '+'
  DELRCPT: 0x2d, // '-'
  ADDRCPT_PAR: 0x32, // '2' 6
  SHUTDOWN: 0x34, // '4' Internal to the MTA. Never sent: Sendmail knows no such reply, Postfix loses mail over it.
  ACCEPT: 0x61, // 'a'
  REPLBODY: 0x62, // 'b'
  CONTINUE: 0x63, // 'c'
  DISCARD: 0x64, // 'd'
  CHGFROM: 0x65, // 'e' 6
  CONN_FAIL: 0x66, // 'f' Never sent: both MTAs take it for a protocol error.
  ADDHEADER: 0x68, // 'h'
  INSHEADER: 0x69, // 'i' 8.13
  SETSYMLIST: 0x6c, // 'l' 6. Reserved: symbol lists travel inside the answer to SMFIC_OPTNEG.
  CHGHEADER: 0x6d, // 'm'
  PROGRESS: 0x70, // 'p' 8.13
  QUARANTINE: 0x71, // 'q' 8.13
  REJECT: 0x72, // 'r'
  SKIP: 0x73, // 's' 6
  TEMPFAIL: 0x74, // 't'
  REPLYCODE: 0x79, // 'y'
} as const;

/** SMFIF_*: actions, what a filter may do at end of message. */
export const SMFIF = {
  NONE: 0,
  ADDHDRS: 0x001,
  CHGBODY: 0x002,
  MODBODY: 0x002, // The old name of CHGBODY.
  ADDRCPT: 0x004,
  DELRCPT: 0x008,
  CHGHDRS: 0x010,
  QUARANTINE: 0x020, // 8.13
  CHGFROM: 0x040, // 6
  ADDRCPT_PAR: 0x080, // 6. Apart from ADDRCPT: neither implies the other.
  SETSYMLIST: 0x100, // 6
} as const;

/** SMFIP_*: in an offer "I can do this", in an answer "do this". NO: do not send. NR: no reply will come. */
export const SMFIP = {
  NOCONNECT: 0x000001,
  NOHELO: 0x000002,
  NOMAIL: 0x000004,
  NORCPT: 0x000008,
  NOBODY: 0x000010,
  NOHDRS: 0x000020,
  NOEOH: 0x000040,
  NR_HDR: 0x000080, // 6; Postfix: with milter_protocol = 2 to 4, no_header_reply
  NOHREPL: 0x000080, // The old name of NR_HDR.
  NOUNKNOWN: 0x000100, // 3
  NODATA: 0x000200, // 4
  SKIP: 0x000400, // 6
  RCPT_REJ: 0x000800, // 6
  NR_CONN: 0x001000, // 6
  NR_HELO: 0x002000, // 6
  NR_MAIL: 0x004000, // 6
  NR_RCPT: 0x008000, // 6
  NR_DATA: 0x010000, // 6
  NR_UNKN: 0x020000, // 6
  NR_EOH: 0x040000, // 6
  NR_BODY: 0x080000, // 6
  HDR_LEADSPC: 0x100000, // 6
  MDS_256K: 0x10000000, // 6, Sendmail built with _FFR_MDS_NEGOTIATE
  MDS_1M: 0x20000000, // 6, the same
  TEST: 0x80000000, // Sendmail built with _FFR_MILTER_CHECK
} as const;

/** SMFIM_*: stages of symbol lists; 5 and 6 are not in the order of time. All of version 6. */
export const SMFIM = {
  CONNECT: 0,
  HELO: 1,
  ENVFROM: 2,
  ENVRCPT: 3,
  DATA: 4,
  EOM: 5,
  EOH: 6,
} as const;

/** SMFIA_*: address families of SMFIC_CONNECT. */
export const SMFIA = {
  UNKNOWN: 0x55, // 'U'
  UNIX: 0x4c, // 'L'
  INET: 0x34, // '4'
  INET6: 0x36, // '6'
} as const;

/** SMFI_*: versions, and the bits that make up "everything" at each of them. */
export const SMFI = {
  PROT_VERSION: 6,
  V1_ACTS: 0x0f,
  V2_ACTS: 0x3f,
  CURR_ACTS: 0x1ff,
  V1_PROT: 0x3f,
  V2_PROT: 0x7f,
  CURR_PROT: 0x1fffff,
  INTERNAL: 0x70000000,
} as const;

/** Bytes of the length field in front of each packet. */
export const MILTER_LEN_BYTES = 4;
/** Bytes of version, actions and protocol in SMFIC_OPTNEG. */
export const MILTER_OPTLEN = 12;
/** Most bytes in one body chunk, either way, whatever the payload limit. */
export const MILTER_CHUNK_SIZE = 65535;
/** Most payload bytes of a packet (the command byte not counted) unless a larger limit is negotiated. */
export const MILTER_MAX_DATA_SIZE = 65535;
/** The payload limits that SMFIP_MDS_256K and SMFIP_MDS_1M stand for. */
export const MILTER_MDS_64K = 65535;
export const MILTER_MDS_256K = 262143;
export const MILTER_MDS_1M = 1048575;
