/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>

#include "base/util.h"

struct row {
  int number; /* negative */
  const char *name;
  const char *text;
};

/* Where two names share a number the first is the one that is given out. */
static const struct row rows[] = {
  {ERR_EOF,            "EOF",             "end of stream"                                    },
  {ERR_CLOSED,         "ECLOSED",         "closed"                                           },
  {ERR_CHANNEL,        "ETLS",            "TLS failure"                                      },
  {ERR_EAI_AGAIN,      "EAI_AGAIN",       "Temporary failure in name resolution"             },
  {ERR_EAI_BADFLAGS,   "EAI_BADFLAGS",    "Bad flags for a name lookup"                      },
  {ERR_EAI_FAIL,       "EAI_FAIL",        "Permanent failure in name resolution"             },
  {ERR_EAI_FAMILY,     "EAI_FAMILY",
   "Address family not supported by the resolver"                                            },
  {ERR_EAI_MEMORY,     "EAI_MEMORY",      "Out of memory in a name lookup"                   },
  {ERR_EAI_NODATA,     "EAI_NODATA",      "Name has no address"                              },
  {ERR_EAI_NONAME,     "EAI_NONAME",      "Name or service not known"                        },
  {ERR_EAI_OVERFLOW,   "EAI_OVERFLOW",    "Name too long for its buffer"                     },
  {ERR_EAI_SERVICE,    "EAI_SERVICE",     "Service not known for this socket type"           },
  {ERR_EAI_SOCKTYPE,   "EAI_SOCKTYPE",
   "Socket type not supported by the resolver"                                               },
  {ERR_EAI_ADDRFAMILY, "EAI_ADDRFAMILY",  "Name has no address of this family"               },
#ifdef EPERM
  {-EPERM,             "EPERM",           "Operation not permitted"                          },
#endif
#ifdef ENOENT
  {-ENOENT,            "ENOENT",          "No such file or directory"                        },
#endif
#ifdef ESRCH
  {-ESRCH,             "ESRCH",           "No such process"                                  },
#endif
#ifdef EINTR
  {-EINTR,             "EINTR",           "Interrupted system call"                          },
#endif
#ifdef EIO
  {-EIO,               "EIO",             "Input/output error"                               },
#endif
#ifdef ENXIO
  {-ENXIO,             "ENXIO",           "No such device or address"                        },
#endif
#ifdef E2BIG
  {-E2BIG,             "E2BIG",           "Argument list too long"                           },
#endif
#ifdef ENOEXEC
  {-ENOEXEC,           "ENOEXEC",         "Exec format error"                                },
#endif
#ifdef EBADF
  {-EBADF,             "EBADF",           "Bad file descriptor"                              },
#endif
#ifdef ECHILD
  {-ECHILD,            "ECHILD",          "No child processes"                               },
#endif
#ifdef EAGAIN
  {-EAGAIN,            "EAGAIN",          "Resource temporarily unavailable"                 },
#endif
#ifdef ENOMEM
  {-ENOMEM,            "ENOMEM",          "Cannot allocate memory"                           },
#endif
#ifdef EACCES
  {-EACCES,            "EACCES",          "Permission denied"                                },
#endif
#ifdef EFAULT
  {-EFAULT,            "EFAULT",          "Bad address"                                      },
#endif
#ifdef ENOTBLK
  {-ENOTBLK,           "ENOTBLK",         "Block device required"                            },
#endif
#ifdef EBUSY
  {-EBUSY,             "EBUSY",           "Device or resource busy"                          },
#endif
#ifdef EEXIST
  {-EEXIST,            "EEXIST",          "File exists"                                      },
#endif
#ifdef EXDEV
  {-EXDEV,             "EXDEV",           "Invalid cross-device link"                        },
#endif
#ifdef ENODEV
  {-ENODEV,            "ENODEV",          "No such device"                                   },
#endif
#ifdef ENOTDIR
  {-ENOTDIR,           "ENOTDIR",         "Not a directory"                                  },
#endif
#ifdef EISDIR
  {-EISDIR,            "EISDIR",          "Is a directory"                                   },
#endif
#ifdef EINVAL
  {-EINVAL,            "EINVAL",          "Invalid argument"                                 },
#endif
#ifdef ENFILE
  {-ENFILE,            "ENFILE",          "Too many open files in system"                    },
#endif
#ifdef EMFILE
  {-EMFILE,            "EMFILE",          "Too many open files"                              },
#endif
#ifdef ENOTTY
  {-ENOTTY,            "ENOTTY",          "Inappropriate ioctl for device"                   },
#endif
#ifdef ETXTBSY
  {-ETXTBSY,           "ETXTBSY",         "Text file busy"                                   },
#endif
#ifdef EFBIG
  {-EFBIG,             "EFBIG",           "File too large"                                   },
#endif
#ifdef ENOSPC
  {-ENOSPC,            "ENOSPC",          "No space left on device"                          },
#endif
#ifdef ESPIPE
  {-ESPIPE,            "ESPIPE",          "Illegal seek"                                     },
#endif
#ifdef EROFS
  {-EROFS,             "EROFS",           "Read-only file system"                            },
#endif
#ifdef EMLINK
  {-EMLINK,            "EMLINK",          "Too many links"                                   },
#endif
#ifdef EPIPE
  {-EPIPE,             "EPIPE",           "Broken pipe"                                      },
#endif
#ifdef EDOM
  {-EDOM,              "EDOM",            "Numerical argument out of domain"                 },
#endif
#ifdef ERANGE
  {-ERANGE,            "ERANGE",          "Numerical result out of range"                    },
#endif
#ifdef EDEADLK
  {-EDEADLK,           "EDEADLK",         "Resource deadlock avoided"                        },
#endif
#ifdef ENAMETOOLONG
  {-ENAMETOOLONG,      "ENAMETOOLONG",    "File name too long"                               },
#endif
#ifdef ENOLCK
  {-ENOLCK,            "ENOLCK",          "No locks available"                               },
#endif
#ifdef ENOSYS
  {-ENOSYS,            "ENOSYS",          "Function not implemented"                         },
#endif
#ifdef ENOTEMPTY
  {-ENOTEMPTY,         "ENOTEMPTY",       "Directory not empty"                              },
#endif
#ifdef ELOOP
  {-ELOOP,             "ELOOP",           "Too many levels of symbolic links"                },
#endif
#ifdef ENOMSG
  {-ENOMSG,            "ENOMSG",          "No message of desired type"                       },
#endif
#ifdef EIDRM
  {-EIDRM,             "EIDRM",           "Identifier removed"                               },
#endif
#ifdef ECHRNG
  {-ECHRNG,            "ECHRNG",          "Channel number out of range"                      },
#endif
#ifdef EL2NSYNC
  {-EL2NSYNC,          "EL2NSYNC",        "Level 2 not synchronized"                         },
#endif
#ifdef EL3HLT
  {-EL3HLT,            "EL3HLT",          "Level 3 halted"                                   },
#endif
#ifdef EL3RST
  {-EL3RST,            "EL3RST",          "Level 3 reset"                                    },
#endif
#ifdef ELNRNG
  {-ELNRNG,            "ELNRNG",          "Link number out of range"                         },
#endif
#ifdef EUNATCH
  {-EUNATCH,           "EUNATCH",         "Protocol driver not attached"                     },
#endif
#ifdef ENOCSI
  {-ENOCSI,            "ENOCSI",          "No CSI structure available"                       },
#endif
#ifdef EL2HLT
  {-EL2HLT,            "EL2HLT",          "Level 2 halted"                                   },
#endif
#ifdef EBADE
  {-EBADE,             "EBADE",           "Invalid exchange"                                 },
#endif
#ifdef EBADR
  {-EBADR,             "EBADR",           "Invalid request descriptor"                       },
#endif
#ifdef EXFULL
  {-EXFULL,            "EXFULL",          "Exchange full"                                    },
#endif
#ifdef ENOANO
  {-ENOANO,            "ENOANO",          "No anode"                                         },
#endif
#ifdef EBADRQC
  {-EBADRQC,           "EBADRQC",         "Invalid request code"                             },
#endif
#ifdef EBADSLT
  {-EBADSLT,           "EBADSLT",         "Invalid slot"                                     },
#endif
#ifdef EBFONT
  {-EBFONT,            "EBFONT",          "Bad font file format"                             },
#endif
#ifdef ENOSTR
  {-ENOSTR,            "ENOSTR",          "Device not a stream"                              },
#endif
#ifdef ENODATA
  {-ENODATA,           "ENODATA",         "No data available"                                },
#endif
#ifdef ETIME
  {-ETIME,             "ETIME",           "Timer expired"                                    },
#endif
#ifdef ENOSR
  {-ENOSR,             "ENOSR",           "Out of streams resources"                         },
#endif
#ifdef ENONET
  {-ENONET,            "ENONET",          "Machine is not on the network"                    },
#endif
#ifdef ENOPKG
  {-ENOPKG,            "ENOPKG",          "Package not installed"                            },
#endif
#ifdef EREMOTE
  {-EREMOTE,           "EREMOTE",         "Object is remote"                                 },
#endif
#ifdef ENOLINK
  {-ENOLINK,           "ENOLINK",         "Link has been severed"                            },
#endif
#ifdef EADV
  {-EADV,              "EADV",            "Advertise error"                                  },
#endif
#ifdef ESRMNT
  {-ESRMNT,            "ESRMNT",          "Mount error of a remote resource"                 },
#endif
#ifdef ECOMM
  {-ECOMM,             "ECOMM",           "Communication error on send"                      },
#endif
#ifdef EPROTO
  {-EPROTO,            "EPROTO",          "Protocol error"                                   },
#endif
#ifdef EMULTIHOP
  {-EMULTIHOP,         "EMULTIHOP",       "Multihop attempted"                               },
#endif
#ifdef EDOTDOT
  {-EDOTDOT,           "EDOTDOT",         "RFS specific error"                               },
#endif
#ifdef EBADMSG
  {-EBADMSG,           "EBADMSG",         "Bad message"                                      },
#endif
#ifdef EOVERFLOW
  {-EOVERFLOW,         "EOVERFLOW",       "Value too large for defined data type"            },
#endif
#ifdef ENOTUNIQ
  {-ENOTUNIQ,          "ENOTUNIQ",        "Name not unique on network"                       },
#endif
#ifdef EBADFD
  {-EBADFD,            "EBADFD",          "File descriptor in bad state"                     },
#endif
#ifdef EREMCHG
  {-EREMCHG,           "EREMCHG",         "Remote address changed"                           },
#endif
#ifdef ELIBACC
  {-ELIBACC,           "ELIBACC",         "Cannot access a needed shared library"            },
#endif
#ifdef ELIBBAD
  {-ELIBBAD,           "ELIBBAD",         "Accessing a corrupted shared library"             },
#endif
#ifdef ELIBSCN
  {-ELIBSCN,           "ELIBSCN",         "Corrupted section in an object file"              },
#endif
#ifdef ELIBMAX
  {-ELIBMAX,           "ELIBMAX",         "Attempting to link in too many shared libraries"  },
#endif
#ifdef ELIBEXEC
  {-ELIBEXEC,          "ELIBEXEC",        "Cannot exec a shared library directly"            },
#endif
#ifdef EILSEQ
  {-EILSEQ,            "EILSEQ",          "Invalid or incomplete multibyte or wide character"},
#endif
#ifdef ERESTART
  {-ERESTART,          "ERESTART",        "Interrupted system call should be restarted"      },
#endif
#ifdef ESTRPIPE
  {-ESTRPIPE,          "ESTRPIPE",        "Streams pipe error"                               },
#endif
#ifdef EUSERS
  {-EUSERS,            "EUSERS",          "Too many users"                                   },
#endif
#ifdef ENOTSOCK
  {-ENOTSOCK,          "ENOTSOCK",        "Socket operation on non-socket"                   },
#endif
#ifdef EDESTADDRREQ
  {-EDESTADDRREQ,      "EDESTADDRREQ",    "Destination address required"                     },
#endif
#ifdef EMSGSIZE
  {-EMSGSIZE,          "EMSGSIZE",        "Message too long"                                 },
#endif
#ifdef EPROTOTYPE
  {-EPROTOTYPE,        "EPROTOTYPE",      "Wrong protocol type for socket"                   },
#endif
#ifdef ENOPROTOOPT
  {-ENOPROTOOPT,       "ENOPROTOOPT",     "Protocol option not available"                    },
#endif
#ifdef EPROTONOSUPPORT
  {-EPROTONOSUPPORT,   "EPROTONOSUPPORT", "Protocol not supported"                           },
#endif
#ifdef ESOCKTNOSUPPORT
  {-ESOCKTNOSUPPORT,   "ESOCKTNOSUPPORT", "Socket type not supported"                        },
#endif
#ifdef EOPNOTSUPP
  {-EOPNOTSUPP,        "EOPNOTSUPP",      "Operation not supported"                          },
#endif
#ifdef EPFNOSUPPORT
  {-EPFNOSUPPORT,      "EPFNOSUPPORT",    "Protocol family not supported"                    },
#endif
#ifdef EAFNOSUPPORT
  {-EAFNOSUPPORT,      "EAFNOSUPPORT",    "Address family not supported by protocol"         },
#endif
#ifdef EADDRINUSE
  {-EADDRINUSE,        "EADDRINUSE",      "Address already in use"                           },
#endif
#ifdef EADDRNOTAVAIL
  {-EADDRNOTAVAIL,     "EADDRNOTAVAIL",   "Cannot assign requested address"                  },
#endif
#ifdef ENETDOWN
  {-ENETDOWN,          "ENETDOWN",        "Network is down"                                  },
#endif
#ifdef ENETUNREACH
  {-ENETUNREACH,       "ENETUNREACH",     "Network is unreachable"                           },
#endif
#ifdef ENETRESET
  {-ENETRESET,         "ENETRESET",       "Network dropped connection on reset"              },
#endif
#ifdef ECONNABORTED
  {-ECONNABORTED,      "ECONNABORTED",    "Software caused connection abort"                 },
#endif
#ifdef ECONNRESET
  {-ECONNRESET,        "ECONNRESET",      "Connection reset by peer"                         },
#endif
#ifdef ENOBUFS
  {-ENOBUFS,           "ENOBUFS",         "No buffer space available"                        },
#endif
#ifdef EISCONN
  {-EISCONN,           "EISCONN",         "Transport endpoint is already connected"          },
#endif
#ifdef ENOTCONN
  {-ENOTCONN,          "ENOTCONN",        "Transport endpoint is not connected"              },
#endif
#ifdef ESHUTDOWN
  {-ESHUTDOWN,         "ESHUTDOWN",       "Cannot send after transport endpoint shutdown"    },
#endif
#ifdef ETOOMANYREFS
  {-ETOOMANYREFS,      "ETOOMANYREFS",    "Too many references"                              },
#endif
#ifdef ETIMEDOUT
  {-ETIMEDOUT,         "ETIMEDOUT",       "timed out"                                        },
#endif
#ifdef ECONNREFUSED
  {-ECONNREFUSED,      "ECONNREFUSED",    "Connection refused"                               },
#endif
#ifdef EHOSTDOWN
  {-EHOSTDOWN,         "EHOSTDOWN",       "Host is down"                                     },
#endif
#ifdef EHOSTUNREACH
  {-EHOSTUNREACH,      "EHOSTUNREACH",    "No route to host"                                 },
#endif
#ifdef EALREADY
  {-EALREADY,          "EALREADY",        "Operation already in progress"                    },
#endif
#ifdef EINPROGRESS
  {-EINPROGRESS,       "EINPROGRESS",     "Operation now in progress"                        },
#endif
#ifdef ESTALE
  {-ESTALE,            "ESTALE",          "Stale file handle"                                },
#endif
#ifdef EUCLEAN
  {-EUCLEAN,           "EUCLEAN",         "Structure needs cleaning"                         },
#endif
#ifdef ENOTNAM
  {-ENOTNAM,           "ENOTNAM",         "Not a XENIX named type file"                      },
#endif
#ifdef ENAVAIL
  {-ENAVAIL,           "ENAVAIL",         "No XENIX semaphores available"                    },
#endif
#ifdef EISNAM
  {-EISNAM,            "EISNAM",          "Is a named type file"                             },
#endif
#ifdef EREMOTEIO
  {-EREMOTEIO,         "EREMOTEIO",       "Remote I/O error"                                 },
#endif
#ifdef EDQUOT
  {-EDQUOT,            "EDQUOT",          "Disk quota exceeded"                              },
#endif
#ifdef ENOMEDIUM
  {-ENOMEDIUM,         "ENOMEDIUM",       "No medium found"                                  },
#endif
#ifdef EMEDIUMTYPE
  {-EMEDIUMTYPE,       "EMEDIUMTYPE",     "Wrong medium type"                                },
#endif
#ifdef ECANCELED
  {-ECANCELED,         "ECANCELED",       "cancelled"                                        },
#endif
#ifdef ENOKEY
  {-ENOKEY,            "ENOKEY",          "Required key not available"                       },
#endif
#ifdef EKEYEXPIRED
  {-EKEYEXPIRED,       "EKEYEXPIRED",     "Key has expired"                                  },
#endif
#ifdef EKEYREVOKED
  {-EKEYREVOKED,       "EKEYREVOKED",     "Key has been revoked"                             },
#endif
#ifdef EKEYREJECTED
  {-EKEYREJECTED,      "EKEYREJECTED",    "Key was rejected by service"                      },
#endif
#ifdef EOWNERDEAD
  {-EOWNERDEAD,        "EOWNERDEAD",      "Owner died"                                       },
#endif
#ifdef ENOTRECOVERABLE
  {-ENOTRECOVERABLE,   "ENOTRECOVERABLE", "State not recoverable"                            },
#endif
#ifdef ERFKILL
  {-ERFKILL,           "ERFKILL",         "Operation not possible due to RF-kill"            },
#endif
#ifdef EHWPOISON
  {-EHWPOISON,         "EHWPOISON",       "Memory page has hardware error"                   },
#endif
#ifdef EWOULDBLOCK
  {-EWOULDBLOCK,       "EWOULDBLOCK",     "Resource temporarily unavailable"                 },
#endif
#ifdef EDEADLOCK
  {-EDEADLOCK,         "EDEADLOCK",       "Resource deadlock avoided"                        },
#endif
#ifdef ENOTSUP
  {-ENOTSUP,           "ENOTSUP",         "Operation not supported"                          },
#endif
};

static const struct row *find(int err) {
  size_t i;
  for (i = 0; i < countof(rows); i++)
    if (rows[i].number == err)
      return &rows[i];
  return NULL;
}

/* The number without its sign, of any int. */
static unsigned magnitude(int err) {
  return err < 0 ? 0u - (unsigned)err : (unsigned)err;
}

const char *err_name(int err, char buf[ERR_NAMELEN]) {
  const struct row *row = find(err);
  if (row != NULL)
    return row->name;
  snprintf(buf, ERR_NAMELEN, "E%u", magnitude(err));
  return buf;
}

const char *err_text(int err, char buf[ERR_TEXTLEN]) {
  const struct row *row = find(err);
  if (row != NULL)
    return row->text;
  snprintf(buf, ERR_TEXTLEN, "error %u", magnitude(err));
  return buf;
}

const char *err_row(size_t i, int *number) {
  if (i >= countof(rows))
    return NULL;
  *number = rows[i].number;
  return rows[i].name;
}
