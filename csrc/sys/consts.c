/* SPDX-License-Identifier: MIT */
#include "sys/consts.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#ifdef __linux__
#include <linux/in.h>
#include <linux/in6.h>
#endif

#include "base/util.h"

#define ROW(name) #name, name

static const struct {
  const char *name;
  int64_t number;
} rows[] = {
#ifdef AF_UNSPEC
  {ROW(AF_UNSPEC)},
#endif
#ifdef AF_UNIX
  {ROW(AF_UNIX)},
#endif
#ifdef AF_LOCAL
  {ROW(AF_LOCAL)},
#endif
#ifdef AF_INET
  {ROW(AF_INET)},
#endif
#ifdef AF_AX25
  {ROW(AF_AX25)},
#endif
#ifdef AF_IPX
  {ROW(AF_IPX)},
#endif
#ifdef AF_APPLETALK
  {ROW(AF_APPLETALK)},
#endif
#ifdef AF_NETROM
  {ROW(AF_NETROM)},
#endif
#ifdef AF_BRIDGE
  {ROW(AF_BRIDGE)},
#endif
#ifdef AF_ATMPVC
  {ROW(AF_ATMPVC)},
#endif
#ifdef AF_X25
  {ROW(AF_X25)},
#endif
#ifdef AF_INET6
  {ROW(AF_INET6)},
#endif
#ifdef AF_ROSE
  {ROW(AF_ROSE)},
#endif
#ifdef AF_NETBEUI
  {ROW(AF_NETBEUI)},
#endif
#ifdef AF_SECURITY
  {ROW(AF_SECURITY)},
#endif
#ifdef AF_KEY
  {ROW(AF_KEY)},
#endif
#ifdef AF_NETLINK
  {ROW(AF_NETLINK)},
#endif
#ifdef AF_ROUTE
  {ROW(AF_ROUTE)},
#endif
#ifdef AF_PACKET
  {ROW(AF_PACKET)},
#endif
#ifdef AF_ASH
  {ROW(AF_ASH)},
#endif
#ifdef AF_ECONET
  {ROW(AF_ECONET)},
#endif
#ifdef AF_ATMSVC
  {ROW(AF_ATMSVC)},
#endif
#ifdef AF_RDS
  {ROW(AF_RDS)},
#endif
#ifdef AF_SNA
  {ROW(AF_SNA)},
#endif
#ifdef AF_IRDA
  {ROW(AF_IRDA)},
#endif
#ifdef AF_PPPOX
  {ROW(AF_PPPOX)},
#endif
#ifdef AF_WANPIPE
  {ROW(AF_WANPIPE)},
#endif
#ifdef AF_LLC
  {ROW(AF_LLC)},
#endif
#ifdef AF_IB
  {ROW(AF_IB)},
#endif
#ifdef AF_MPLS
  {ROW(AF_MPLS)},
#endif
#ifdef AF_CAN
  {ROW(AF_CAN)},
#endif
#ifdef AF_TIPC
  {ROW(AF_TIPC)},
#endif
#ifdef AF_BLUETOOTH
  {ROW(AF_BLUETOOTH)},
#endif
#ifdef AF_IUCV
  {ROW(AF_IUCV)},
#endif
#ifdef AF_RXRPC
  {ROW(AF_RXRPC)},
#endif
#ifdef AF_ISDN
  {ROW(AF_ISDN)},
#endif
#ifdef AF_PHONET
  {ROW(AF_PHONET)},
#endif
#ifdef AF_IEEE802154
  {ROW(AF_IEEE802154)},
#endif
#ifdef AF_CAIF
  {ROW(AF_CAIF)},
#endif
#ifdef AF_ALG
  {ROW(AF_ALG)},
#endif
#ifdef AF_NFC
  {ROW(AF_NFC)},
#endif
#ifdef AF_VSOCK
  {ROW(AF_VSOCK)},
#endif
#ifdef AF_KCM
  {ROW(AF_KCM)},
#endif
#ifdef AF_QIPCRTR
  {ROW(AF_QIPCRTR)},
#endif
#ifdef AF_SMC
  {ROW(AF_SMC)},
#endif
#ifdef AF_XDP
  {ROW(AF_XDP)},
#endif
#ifdef AF_MCTP
  {ROW(AF_MCTP)},
#endif
#ifdef SOCK_STREAM
  {ROW(SOCK_STREAM)},
#endif
#ifdef SOCK_DGRAM
  {ROW(SOCK_DGRAM)},
#endif
#ifdef SOCK_RAW
  {ROW(SOCK_RAW)},
#endif
#ifdef SOCK_RDM
  {ROW(SOCK_RDM)},
#endif
#ifdef SOCK_SEQPACKET
  {ROW(SOCK_SEQPACKET)},
#endif
#ifdef SOCK_DCCP
  {ROW(SOCK_DCCP)},
#endif
#ifdef SOCK_PACKET
  {ROW(SOCK_PACKET)},
#endif
#ifdef SOCK_NONBLOCK
  {ROW(SOCK_NONBLOCK)},
#endif
#ifdef SOCK_CLOEXEC
  {ROW(SOCK_CLOEXEC)},
#endif
#ifdef SOL_SOCKET
  {ROW(SOL_SOCKET)},
#endif
#ifdef SOL_IP
  {ROW(SOL_IP)},
#endif
#ifdef SOL_IPV6
  {ROW(SOL_IPV6)},
#endif
#ifdef SOL_TCP
  {ROW(SOL_TCP)},
#endif
#ifdef SOL_UDP
  {ROW(SOL_UDP)},
#endif
#ifdef SOL_UDPLITE
  {ROW(SOL_UDPLITE)},
#endif
#ifdef SOL_SCTP
  {ROW(SOL_SCTP)},
#endif
#ifdef SOL_RAW
  {ROW(SOL_RAW)},
#endif
#ifdef SOL_ICMPV6
  {ROW(SOL_ICMPV6)},
#endif
#ifdef SOL_IPX
  {ROW(SOL_IPX)},
#endif
#ifdef SOL_PACKET
  {ROW(SOL_PACKET)},
#endif
#ifdef SOL_NETLINK
  {ROW(SOL_NETLINK)},
#endif
#ifdef SOL_TIPC
  {ROW(SOL_TIPC)},
#endif
#ifdef SOL_ALG
  {ROW(SOL_ALG)},
#endif
#ifdef SOL_VSOCK
  {ROW(SOL_VSOCK)},
#endif
#ifdef SOL_XDP
  {ROW(SOL_XDP)},
#endif
#ifdef SOL_TLS
  {ROW(SOL_TLS)},
#endif
#ifdef SOL_MPTCP
  {ROW(SOL_MPTCP)},
#endif
#ifdef IPPROTO_IP
  {ROW(IPPROTO_IP)},
#endif
#ifdef IPPROTO_ICMP
  {ROW(IPPROTO_ICMP)},
#endif
#ifdef IPPROTO_IGMP
  {ROW(IPPROTO_IGMP)},
#endif
#ifdef IPPROTO_IPIP
  {ROW(IPPROTO_IPIP)},
#endif
#ifdef IPPROTO_TCP
  {ROW(IPPROTO_TCP)},
#endif
#ifdef IPPROTO_EGP
  {ROW(IPPROTO_EGP)},
#endif
#ifdef IPPROTO_PUP
  {ROW(IPPROTO_PUP)},
#endif
#ifdef IPPROTO_UDP
  {ROW(IPPROTO_UDP)},
#endif
#ifdef IPPROTO_IDP
  {ROW(IPPROTO_IDP)},
#endif
#ifdef IPPROTO_TP
  {ROW(IPPROTO_TP)},
#endif
#ifdef IPPROTO_DCCP
  {ROW(IPPROTO_DCCP)},
#endif
#ifdef IPPROTO_IPV6
  {ROW(IPPROTO_IPV6)},
#endif
#ifdef IPPROTO_ROUTING
  {ROW(IPPROTO_ROUTING)},
#endif
#ifdef IPPROTO_FRAGMENT
  {ROW(IPPROTO_FRAGMENT)},
#endif
#ifdef IPPROTO_RSVP
  {ROW(IPPROTO_RSVP)},
#endif
#ifdef IPPROTO_GRE
  {ROW(IPPROTO_GRE)},
#endif
#ifdef IPPROTO_ESP
  {ROW(IPPROTO_ESP)},
#endif
#ifdef IPPROTO_AH
  {ROW(IPPROTO_AH)},
#endif
#ifdef IPPROTO_ICMPV6
  {ROW(IPPROTO_ICMPV6)},
#endif
#ifdef IPPROTO_NONE
  {ROW(IPPROTO_NONE)},
#endif
#ifdef IPPROTO_DSTOPTS
  {ROW(IPPROTO_DSTOPTS)},
#endif
#ifdef IPPROTO_MTP
  {ROW(IPPROTO_MTP)},
#endif
#ifdef IPPROTO_BEETPH
  {ROW(IPPROTO_BEETPH)},
#endif
#ifdef IPPROTO_ENCAP
  {ROW(IPPROTO_ENCAP)},
#endif
#ifdef IPPROTO_PIM
  {ROW(IPPROTO_PIM)},
#endif
#ifdef IPPROTO_COMP
  {ROW(IPPROTO_COMP)},
#endif
#ifdef IPPROTO_SCTP
  {ROW(IPPROTO_SCTP)},
#endif
#ifdef IPPROTO_MH
  {ROW(IPPROTO_MH)},
#endif
#ifdef IPPROTO_UDPLITE
  {ROW(IPPROTO_UDPLITE)},
#endif
#ifdef IPPROTO_MPLS
  {ROW(IPPROTO_MPLS)},
#endif
#ifdef IPPROTO_ETHERNET
  {ROW(IPPROTO_ETHERNET)},
#endif
#ifdef IPPROTO_RAW
  {ROW(IPPROTO_RAW)},
#endif
#ifdef IPPROTO_MPTCP
  {ROW(IPPROTO_MPTCP)},
#endif
#ifdef MSG_OOB
  {ROW(MSG_OOB)},
#endif
#ifdef MSG_PEEK
  {ROW(MSG_PEEK)},
#endif
#ifdef MSG_DONTROUTE
  {ROW(MSG_DONTROUTE)},
#endif
#ifdef MSG_TRYHARD
  {ROW(MSG_TRYHARD)},
#endif
#ifdef MSG_CTRUNC
  {ROW(MSG_CTRUNC)},
#endif
#ifdef MSG_PROXY
  {ROW(MSG_PROXY)},
#endif
#ifdef MSG_TRUNC
  {ROW(MSG_TRUNC)},
#endif
#ifdef MSG_DONTWAIT
  {ROW(MSG_DONTWAIT)},
#endif
#ifdef MSG_EOR
  {ROW(MSG_EOR)},
#endif
#ifdef MSG_WAITALL
  {ROW(MSG_WAITALL)},
#endif
#ifdef MSG_FIN
  {ROW(MSG_FIN)},
#endif
#ifdef MSG_SYN
  {ROW(MSG_SYN)},
#endif
#ifdef MSG_CONFIRM
  {ROW(MSG_CONFIRM)},
#endif
#ifdef MSG_RST
  {ROW(MSG_RST)},
#endif
#ifdef MSG_ERRQUEUE
  {ROW(MSG_ERRQUEUE)},
#endif
#ifdef MSG_NOSIGNAL
  {ROW(MSG_NOSIGNAL)},
#endif
#ifdef MSG_MORE
  {ROW(MSG_MORE)},
#endif
#ifdef MSG_WAITFORONE
  {ROW(MSG_WAITFORONE)},
#endif
#ifdef MSG_BATCH
  {ROW(MSG_BATCH)},
#endif
#ifdef MSG_ZEROCOPY
  {ROW(MSG_ZEROCOPY)},
#endif
#ifdef MSG_FASTOPEN
  {ROW(MSG_FASTOPEN)},
#endif
#ifdef MSG_CMSG_CLOEXEC
  {ROW(MSG_CMSG_CLOEXEC)},
#endif
#ifdef MSG_NOTIFICATION
  {ROW(MSG_NOTIFICATION)},
#endif
#ifdef SHUT_RD
  {ROW(SHUT_RD)},
#endif
#ifdef SHUT_WR
  {ROW(SHUT_WR)},
#endif
#ifdef SHUT_RDWR
  {ROW(SHUT_RDWR)},
#endif
#ifdef AI_PASSIVE
  {ROW(AI_PASSIVE)},
#endif
#ifdef AI_CANONNAME
  {ROW(AI_CANONNAME)},
#endif
#ifdef AI_NUMERICHOST
  {ROW(AI_NUMERICHOST)},
#endif
#ifdef AI_V4MAPPED
  {ROW(AI_V4MAPPED)},
#endif
#ifdef AI_ALL
  {ROW(AI_ALL)},
#endif
#ifdef AI_ADDRCONFIG
  {ROW(AI_ADDRCONFIG)},
#endif
#ifdef AI_NUMERICSERV
  {ROW(AI_NUMERICSERV)},
#endif
#ifdef AI_IDN
  {ROW(AI_IDN)},
#endif
#ifdef AI_CANONIDN
  {ROW(AI_CANONIDN)},
#endif
#ifdef NI_NUMERICHOST
  {ROW(NI_NUMERICHOST)},
#endif
#ifdef NI_NUMERICSERV
  {ROW(NI_NUMERICSERV)},
#endif
#ifdef NI_NOFQDN
  {ROW(NI_NOFQDN)},
#endif
#ifdef NI_NAMEREQD
  {ROW(NI_NAMEREQD)},
#endif
#ifdef NI_DGRAM
  {ROW(NI_DGRAM)},
#endif
#ifdef NI_IDN
  {ROW(NI_IDN)},
#endif
#ifdef NI_NUMERICSCOPE
  {ROW(NI_NUMERICSCOPE)},
#endif
#ifdef POLLIN
  {ROW(POLLIN)},
#endif
#ifdef POLLPRI
  {ROW(POLLPRI)},
#endif
#ifdef POLLOUT
  {ROW(POLLOUT)},
#endif
#ifdef POLLERR
  {ROW(POLLERR)},
#endif
#ifdef POLLHUP
  {ROW(POLLHUP)},
#endif
#ifdef POLLNVAL
  {ROW(POLLNVAL)},
#endif
#ifdef POLLRDHUP
  {ROW(POLLRDHUP)},
#endif
#ifdef POLLRDNORM
  {ROW(POLLRDNORM)},
#endif
#ifdef POLLRDBAND
  {ROW(POLLRDBAND)},
#endif
#ifdef POLLWRNORM
  {ROW(POLLWRNORM)},
#endif
#ifdef POLLWRBAND
  {ROW(POLLWRBAND)},
#endif
#ifdef SCM_RIGHTS
  {ROW(SCM_RIGHTS)},
#endif
#ifdef SCM_CREDENTIALS
  {ROW(SCM_CREDENTIALS)},
#endif
#ifdef SCM_TIMESTAMP
  {ROW(SCM_TIMESTAMP)},
#endif
#ifdef SCM_TIMESTAMPNS
  {ROW(SCM_TIMESTAMPNS)},
#endif
#ifdef SCM_TIMESTAMPING
  {ROW(SCM_TIMESTAMPING)},
#endif
#ifdef SCM_SECURITY
  {ROW(SCM_SECURITY)},
#endif
#ifdef SCM_TXTIME
  {ROW(SCM_TXTIME)},
#endif
#ifdef SOMAXCONN
  {ROW(SOMAXCONN)},
#endif
#ifdef IP_PMTUDISC_DONT
  {ROW(IP_PMTUDISC_DONT)},
#endif
#ifdef IP_PMTUDISC_WANT
  {ROW(IP_PMTUDISC_WANT)},
#endif
#ifdef IP_PMTUDISC_DO
  {ROW(IP_PMTUDISC_DO)},
#endif
#ifdef IP_PMTUDISC_PROBE
  {ROW(IP_PMTUDISC_PROBE)},
#endif
#ifdef IP_PMTUDISC_INTERFACE
  {ROW(IP_PMTUDISC_INTERFACE)},
#endif
#ifdef IP_PMTUDISC_OMIT
  {ROW(IP_PMTUDISC_OMIT)},
#endif
#ifdef IP_ADD_MEMBERSHIP
  {ROW(IP_ADD_MEMBERSHIP)},
#endif
#ifdef IP_DROP_MEMBERSHIP
  {ROW(IP_DROP_MEMBERSHIP)},
#endif
#ifdef IP_ADD_SOURCE_MEMBERSHIP
  {ROW(IP_ADD_SOURCE_MEMBERSHIP)},
#endif
#ifdef IP_DROP_SOURCE_MEMBERSHIP
  {ROW(IP_DROP_SOURCE_MEMBERSHIP)},
#endif
#ifdef IP_BLOCK_SOURCE
  {ROW(IP_BLOCK_SOURCE)},
#endif
#ifdef IP_UNBLOCK_SOURCE
  {ROW(IP_UNBLOCK_SOURCE)},
#endif
#ifdef IP_MSFILTER
  {ROW(IP_MSFILTER)},
#endif
#ifdef IPV6_ADD_MEMBERSHIP
  {ROW(IPV6_ADD_MEMBERSHIP)},
#endif
#ifdef IPV6_DROP_MEMBERSHIP
  {ROW(IPV6_DROP_MEMBERSHIP)},
#endif
#ifdef IPV6_JOIN_GROUP
  {ROW(IPV6_JOIN_GROUP)},
#endif
#ifdef IPV6_LEAVE_GROUP
  {ROW(IPV6_LEAVE_GROUP)},
#endif
#ifdef IPV6_PKTINFO
  {ROW(IPV6_PKTINFO)},
#endif
#ifdef IPV6_HOPLIMIT
  {ROW(IPV6_HOPLIMIT)},
#endif
#ifdef IPV6_NEXTHOP
  {ROW(IPV6_NEXTHOP)},
#endif
#ifdef IPV6_HOPOPTS
  {ROW(IPV6_HOPOPTS)},
#endif
#ifdef IPV6_RTHDR
  {ROW(IPV6_RTHDR)},
#endif
#ifdef IPV6_RTHDRDSTOPTS
  {ROW(IPV6_RTHDRDSTOPTS)},
#endif
#ifdef IPV6_DSTOPTS
  {ROW(IPV6_DSTOPTS)},
#endif
#ifdef IPV6_PATHMTU
  {ROW(IPV6_PATHMTU)},
#endif
#ifdef IP_ORIGDSTADDR
  {ROW(IP_ORIGDSTADDR)},
#endif
#ifdef IPV6_ORIGDSTADDR
  {ROW(IPV6_ORIGDSTADDR)},
#endif
#ifdef SO_ATTACH_FILTER
  {ROW(SO_ATTACH_FILTER)},
#endif
#ifdef SO_DETACH_FILTER
  {ROW(SO_DETACH_FILTER)},
#endif
#ifdef SO_ATTACH_BPF
  {ROW(SO_ATTACH_BPF)},
#endif
#ifdef SO_GET_FILTER
  {ROW(SO_GET_FILTER)},
#endif
#ifdef SO_ATTACH_REUSEPORT_CBPF
  {ROW(SO_ATTACH_REUSEPORT_CBPF)},
#endif
#ifdef SO_ATTACH_REUSEPORT_EBPF
  {ROW(SO_ATTACH_REUSEPORT_EBPF)},
#endif
#ifdef SO_DETACH_REUSEPORT_BPF
  {ROW(SO_DETACH_REUSEPORT_BPF)},
#endif
#ifdef SO_MEMINFO
  {ROW(SO_MEMINFO)},
#endif
#ifdef SO_PEERGROUPS
  {ROW(SO_PEERGROUPS)},
#endif
#ifdef SO_PEERPIDFD
  {ROW(SO_PEERPIDFD)},
#endif
#ifdef SO_PEERNAME
  {ROW(SO_PEERNAME)},
#endif
#ifdef SO_TXTIME
  {ROW(SO_TXTIME)},
#endif
#ifdef SO_TIMESTAMP_NEW
  {ROW(SO_TIMESTAMP_NEW)},
#endif
#ifdef SO_TIMESTAMPNS_NEW
  {ROW(SO_TIMESTAMPNS_NEW)},
#endif
#ifdef SO_TIMESTAMPING_NEW
  {ROW(SO_TIMESTAMPING_NEW)},
#endif
#ifdef SO_CNX_ADVICE
  {ROW(SO_CNX_ADVICE)},
#endif
#ifdef TCP_MD5SIG
  {ROW(TCP_MD5SIG)},
#endif
#ifdef TCP_MD5SIG_EXT
  {ROW(TCP_MD5SIG_EXT)},
#endif
#ifdef TCP_REPAIR_QUEUE
  {ROW(TCP_REPAIR_QUEUE)},
#endif
#ifdef TCP_QUEUE_SEQ
  {ROW(TCP_QUEUE_SEQ)},
#endif
#ifdef TCP_REPAIR_OPTIONS
  {ROW(TCP_REPAIR_OPTIONS)},
#endif
#ifdef TCP_REPAIR_WINDOW
  {ROW(TCP_REPAIR_WINDOW)},
#endif
#ifdef TCP_ZEROCOPY_RECEIVE
  {ROW(TCP_ZEROCOPY_RECEIVE)},
#endif
#ifdef UDP_CORK
  {ROW(UDP_CORK)},
#endif
#ifdef UDP_ENCAP
  {ROW(UDP_ENCAP)},
#endif
#ifdef UDP_NO_CHECK6_TX
  {ROW(UDP_NO_CHECK6_TX)},
#endif
#ifdef UDP_NO_CHECK6_RX
  {ROW(UDP_NO_CHECK6_RX)},
#endif
#ifdef UDP_SEGMENT
  {ROW(UDP_SEGMENT)},
#endif
#ifdef UDP_GRO
  {ROW(UDP_GRO)},
#endif
  {ROW(TCP_ESTABLISHED)},
  {ROW(TCP_SYN_SENT)},
  {ROW(TCP_SYN_RECV)},
  {ROW(TCP_FIN_WAIT1)},
  {ROW(TCP_FIN_WAIT2)},
  {ROW(TCP_TIME_WAIT)},
  {ROW(TCP_CLOSE)},
  {ROW(TCP_CLOSE_WAIT)},
  {ROW(TCP_LAST_ACK)},
  {ROW(TCP_LISTEN)},
  {ROW(TCP_CLOSING)},
};

const char *consts_row(size_t i, int64_t *number) {
  if (i >= countof(rows))
    return NULL;
  *number = rows[i].number;
  return rows[i].name;
}
