/* SPDX-License-Identifier: MIT */
#include "sys/consts.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#ifdef __linux__
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/net_tstamp.h>
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
#ifdef IP_ORIGDSTADDR
  {ROW(IP_ORIGDSTADDR)},
#endif
#ifdef IPV6_ORIGDSTADDR
  {ROW(IPV6_ORIGDSTADDR)},
#endif
#ifdef SO_ATTACH_FILTER
  {ROW(SO_ATTACH_FILTER)},
#endif
#ifdef SO_GET_FILTER
  {ROW(SO_GET_FILTER)},
#endif
#ifdef SO_ATTACH_REUSEPORT_CBPF
  {ROW(SO_ATTACH_REUSEPORT_CBPF)},
#endif
#ifdef SO_PEERPIDFD
  {ROW(SO_PEERPIDFD)},
#endif
#ifdef SO_PEERNAME
  {ROW(SO_PEERNAME)},
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
#ifdef MCAST_JOIN_GROUP
  {ROW(MCAST_JOIN_GROUP)},
#endif
#ifdef MCAST_LEAVE_GROUP
  {ROW(MCAST_LEAVE_GROUP)},
#endif
#ifdef MCAST_JOIN_SOURCE_GROUP
  {ROW(MCAST_JOIN_SOURCE_GROUP)},
#endif
#ifdef MCAST_LEAVE_SOURCE_GROUP
  {ROW(MCAST_LEAVE_SOURCE_GROUP)},
#endif
#ifdef MCAST_BLOCK_SOURCE
  {ROW(MCAST_BLOCK_SOURCE)},
#endif
#ifdef MCAST_UNBLOCK_SOURCE
  {ROW(MCAST_UNBLOCK_SOURCE)},
#endif
#ifdef MCAST_MSFILTER
  {ROW(MCAST_MSFILTER)},
#endif
#ifdef MCAST_INCLUDE
  {ROW(MCAST_INCLUDE)},
#endif
#ifdef MCAST_EXCLUDE
  {ROW(MCAST_EXCLUDE)},
#endif
#ifdef IPV6_PMTUDISC_DONT
  {ROW(IPV6_PMTUDISC_DONT)},
#endif
#ifdef IPV6_PMTUDISC_WANT
  {ROW(IPV6_PMTUDISC_WANT)},
#endif
#ifdef IPV6_PMTUDISC_DO
  {ROW(IPV6_PMTUDISC_DO)},
#endif
#ifdef IPV6_PMTUDISC_PROBE
  {ROW(IPV6_PMTUDISC_PROBE)},
#endif
#ifdef IPV6_PMTUDISC_INTERFACE
  {ROW(IPV6_PMTUDISC_INTERFACE)},
#endif
#ifdef IPV6_PMTUDISC_OMIT
  {ROW(IPV6_PMTUDISC_OMIT)},
#endif
#ifdef UDP_ENCAP_ESPINUDP_NON_IKE
  {ROW(UDP_ENCAP_ESPINUDP_NON_IKE)},
#endif
#ifdef UDP_ENCAP_ESPINUDP
  {ROW(UDP_ENCAP_ESPINUDP)},
#endif
#ifdef UDP_ENCAP_L2TPINUDP
  {ROW(UDP_ENCAP_L2TPINUDP)},
#endif
#ifdef UDP_ENCAP_GTP0
  {ROW(UDP_ENCAP_GTP0)},
#endif
#ifdef UDP_ENCAP_GTP1U
  {ROW(UDP_ENCAP_GTP1U)},
#endif
#ifdef UDP_ENCAP_RXRPC
  {ROW(UDP_ENCAP_RXRPC)},
#endif
#ifdef SCM_TIMESTAMPING_PKTINFO
  {ROW(SCM_TIMESTAMPING_PKTINFO)},
#endif
#ifdef SCM_TIMESTAMPING_OPT_STATS
  {ROW(SCM_TIMESTAMPING_OPT_STATS)},
#endif
#ifdef SO_EE_ORIGIN_NONE
  {ROW(SO_EE_ORIGIN_NONE)},
#endif
#ifdef SO_EE_ORIGIN_LOCAL
  {ROW(SO_EE_ORIGIN_LOCAL)},
#endif
#ifdef SO_EE_ORIGIN_ICMP
  {ROW(SO_EE_ORIGIN_ICMP)},
#endif
#ifdef SO_EE_ORIGIN_ICMP6
  {ROW(SO_EE_ORIGIN_ICMP6)},
#endif
#ifdef SO_EE_ORIGIN_TXSTATUS
  {ROW(SO_EE_ORIGIN_TXSTATUS)},
#endif
#ifdef SO_EE_ORIGIN_TIMESTAMPING
  {ROW(SO_EE_ORIGIN_TIMESTAMPING)},
#endif
#ifdef SO_EE_ORIGIN_ZEROCOPY
  {ROW(SO_EE_ORIGIN_ZEROCOPY)},
#endif
#ifdef SO_EE_ORIGIN_TXTIME
  {ROW(SO_EE_ORIGIN_TXTIME)},
#endif
#ifdef SO_EE_CODE_ZEROCOPY_COPIED
  {ROW(SO_EE_CODE_ZEROCOPY_COPIED)},
#endif
#ifdef SO_EE_CODE_TXTIME_INVALID_PARAM
  {ROW(SO_EE_CODE_TXTIME_INVALID_PARAM)},
#endif
#ifdef SO_EE_CODE_TXTIME_MISSED
  {ROW(SO_EE_CODE_TXTIME_MISSED)},
#endif
#ifdef PACKET_HOST
  {ROW(PACKET_HOST)},
#endif
#ifdef PACKET_BROADCAST
  {ROW(PACKET_BROADCAST)},
#endif
#ifdef PACKET_MULTICAST
  {ROW(PACKET_MULTICAST)},
#endif
#ifdef PACKET_OTHERHOST
  {ROW(PACKET_OTHERHOST)},
#endif
#ifdef PACKET_OUTGOING
  {ROW(PACKET_OUTGOING)},
#endif
#ifdef PACKET_MR_MULTICAST
  {ROW(PACKET_MR_MULTICAST)},
#endif
#ifdef PACKET_MR_PROMISC
  {ROW(PACKET_MR_PROMISC)},
#endif
#ifdef PACKET_MR_ALLMULTI
  {ROW(PACKET_MR_ALLMULTI)},
#endif
#ifdef PACKET_MR_UNICAST
  {ROW(PACKET_MR_UNICAST)},
#endif
#ifdef PACKET_RX_RING
  {ROW(PACKET_RX_RING)},
#endif
#ifdef PACKET_TX_RING
  {ROW(PACKET_TX_RING)},
#endif
#ifdef PACKET_TX_TIMESTAMP
  {ROW(PACKET_TX_TIMESTAMP)},
#endif
#ifdef PACKET_FANOUT_DATA
  {ROW(PACKET_FANOUT_DATA)},
#endif
#ifdef PACKET_VNET_HDR_SZ
  {ROW(PACKET_VNET_HDR_SZ)},
#endif
#ifdef PACKET_FANOUT_HASH
  {ROW(PACKET_FANOUT_HASH)},
#endif
#ifdef PACKET_FANOUT_LB
  {ROW(PACKET_FANOUT_LB)},
#endif
#ifdef PACKET_FANOUT_CPU
  {ROW(PACKET_FANOUT_CPU)},
#endif
#ifdef PACKET_FANOUT_ROLLOVER
  {ROW(PACKET_FANOUT_ROLLOVER)},
#endif
#ifdef PACKET_FANOUT_RND
  {ROW(PACKET_FANOUT_RND)},
#endif
#ifdef PACKET_FANOUT_QM
  {ROW(PACKET_FANOUT_QM)},
#endif
#ifdef PACKET_FANOUT_CBPF
  {ROW(PACKET_FANOUT_CBPF)},
#endif
#ifdef PACKET_FANOUT_EBPF
  {ROW(PACKET_FANOUT_EBPF)},
#endif
#ifdef PACKET_FANOUT_FLAG_ROLLOVER
  {ROW(PACKET_FANOUT_FLAG_ROLLOVER)},
#endif
#ifdef PACKET_FANOUT_FLAG_UNIQUEID
  {ROW(PACKET_FANOUT_FLAG_UNIQUEID)},
#endif
#ifdef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
  {ROW(PACKET_FANOUT_FLAG_IGNORE_OUTGOING)},
#endif
#ifdef PACKET_FANOUT_FLAG_DEFRAG
  {ROW(PACKET_FANOUT_FLAG_DEFRAG)},
#endif
#ifdef TP_STATUS_USER
  {ROW(TP_STATUS_USER)},
#endif
#ifdef TP_STATUS_COPY
  {ROW(TP_STATUS_COPY)},
#endif
#ifdef TP_STATUS_LOSING
  {ROW(TP_STATUS_LOSING)},
#endif
#ifdef TP_STATUS_CSUMNOTREADY
  {ROW(TP_STATUS_CSUMNOTREADY)},
#endif
#ifdef TP_STATUS_VLAN_VALID
  {ROW(TP_STATUS_VLAN_VALID)},
#endif
#ifdef TP_STATUS_BLK_TMO
  {ROW(TP_STATUS_BLK_TMO)},
#endif
#ifdef TP_STATUS_VLAN_TPID_VALID
  {ROW(TP_STATUS_VLAN_TPID_VALID)},
#endif
#ifdef TP_STATUS_CSUM_VALID
  {ROW(TP_STATUS_CSUM_VALID)},
#endif
#ifdef TP_STATUS_GSO_TCP
  {ROW(TP_STATUS_GSO_TCP)},
#endif
#ifdef TP_STATUS_TS_SOFTWARE
  {ROW(TP_STATUS_TS_SOFTWARE)},
#endif
#ifdef TP_STATUS_TS_RAW_HARDWARE
  {ROW(TP_STATUS_TS_RAW_HARDWARE)},
#endif
#ifdef ETH_P_ALL
  {ROW(ETH_P_ALL)},
#endif
#ifdef ETH_P_802_2
  {ROW(ETH_P_802_2)},
#endif
#ifdef ETH_P_802_3
  {ROW(ETH_P_802_3)},
#endif
#ifdef ETH_P_SNAP
  {ROW(ETH_P_SNAP)},
#endif
#ifdef ETH_P_LOOP
  {ROW(ETH_P_LOOP)},
#endif
#ifdef ETH_P_LOOPBACK
  {ROW(ETH_P_LOOPBACK)},
#endif
#ifdef ETH_P_IP
  {ROW(ETH_P_IP)},
#endif
#ifdef ETH_P_ARP
  {ROW(ETH_P_ARP)},
#endif
#ifdef ETH_P_RARP
  {ROW(ETH_P_RARP)},
#endif
#ifdef ETH_P_IPV6
  {ROW(ETH_P_IPV6)},
#endif
#ifdef ETH_P_8021Q
  {ROW(ETH_P_8021Q)},
#endif
#ifdef ETH_P_8021AD
  {ROW(ETH_P_8021AD)},
#endif
#ifdef ETH_P_IPX
  {ROW(ETH_P_IPX)},
#endif
#ifdef ETH_P_ATALK
  {ROW(ETH_P_ATALK)},
#endif
#ifdef ETH_P_AARP
  {ROW(ETH_P_AARP)},
#endif
#ifdef ETH_P_PAUSE
  {ROW(ETH_P_PAUSE)},
#endif
#ifdef ETH_P_SLOW
  {ROW(ETH_P_SLOW)},
#endif
#ifdef ETH_P_MPLS_UC
  {ROW(ETH_P_MPLS_UC)},
#endif
#ifdef ETH_P_MPLS_MC
  {ROW(ETH_P_MPLS_MC)},
#endif
#ifdef ETH_P_PPP_DISC
  {ROW(ETH_P_PPP_DISC)},
#endif
#ifdef ETH_P_PPP_SES
  {ROW(ETH_P_PPP_SES)},
#endif
#ifdef ETH_P_PAE
  {ROW(ETH_P_PAE)},
#endif
#ifdef ETH_P_AOE
  {ROW(ETH_P_AOE)},
#endif
#ifdef ETH_P_ETHERCAT
  {ROW(ETH_P_ETHERCAT)},
#endif
#ifdef ETH_P_PROFINET
  {ROW(ETH_P_PROFINET)},
#endif
#ifdef ETH_P_TIPC
  {ROW(ETH_P_TIPC)},
#endif
#ifdef ETH_P_LLDP
  {ROW(ETH_P_LLDP)},
#endif
#ifdef ETH_P_MACSEC
  {ROW(ETH_P_MACSEC)},
#endif
#ifdef ETH_P_MVRP
  {ROW(ETH_P_MVRP)},
#endif
#ifdef ETH_P_1588
  {ROW(ETH_P_1588)},
#endif
#ifdef ETH_P_PRP
  {ROW(ETH_P_PRP)},
#endif
#ifdef ETH_P_CFM
  {ROW(ETH_P_CFM)},
#endif
#ifdef ETH_P_FCOE
  {ROW(ETH_P_FCOE)},
#endif
#ifdef ETH_P_HSR
  {ROW(ETH_P_HSR)},
#endif
#ifdef ETH_P_NSH
  {ROW(ETH_P_NSH)},
#endif
#ifdef ETH_P_TEB
  {ROW(ETH_P_TEB)},
#endif
#ifdef ETH_P_CAN
  {ROW(ETH_P_CAN)},
#endif
#ifdef ETH_P_CANFD
  {ROW(ETH_P_CANFD)},
#endif
#ifdef ETH_P_IEEE802154
  {ROW(ETH_P_IEEE802154)},
#endif
#ifdef ETH_P_BATMAN
  {ROW(ETH_P_BATMAN)},
#endif
#ifdef ETH_P_TSN
  {ROW(ETH_P_TSN)},
#endif
#ifdef ETH_P_ERSPAN
  {ROW(ETH_P_ERSPAN)},
#endif
#ifdef ETH_P_WCCP
  {ROW(ETH_P_WCCP)},
#endif
#ifdef ARPHRD_ETHER
  {ROW(ARPHRD_ETHER)},
#endif
#ifdef ARPHRD_IEEE802
  {ROW(ARPHRD_IEEE802)},
#endif
#ifdef ARPHRD_ARCNET
  {ROW(ARPHRD_ARCNET)},
#endif
#ifdef ARPHRD_ATM
  {ROW(ARPHRD_ATM)},
#endif
#ifdef ARPHRD_IEEE1394
  {ROW(ARPHRD_IEEE1394)},
#endif
#ifdef ARPHRD_INFINIBAND
  {ROW(ARPHRD_INFINIBAND)},
#endif
#ifdef ARPHRD_SLIP
  {ROW(ARPHRD_SLIP)},
#endif
#ifdef ARPHRD_CAN
  {ROW(ARPHRD_CAN)},
#endif
#ifdef ARPHRD_PPP
  {ROW(ARPHRD_PPP)},
#endif
#ifdef ARPHRD_HDLC
  {ROW(ARPHRD_HDLC)},
#endif
#ifdef ARPHRD_RAWIP
  {ROW(ARPHRD_RAWIP)},
#endif
#ifdef ARPHRD_TUNNEL
  {ROW(ARPHRD_TUNNEL)},
#endif
#ifdef ARPHRD_TUNNEL6
  {ROW(ARPHRD_TUNNEL6)},
#endif
#ifdef ARPHRD_LOOPBACK
  {ROW(ARPHRD_LOOPBACK)},
#endif
#ifdef ARPHRD_FDDI
  {ROW(ARPHRD_FDDI)},
#endif
#ifdef ARPHRD_SIT
  {ROW(ARPHRD_SIT)},
#endif
#ifdef ARPHRD_IPGRE
  {ROW(ARPHRD_IPGRE)},
#endif
#ifdef ARPHRD_IP6GRE
  {ROW(ARPHRD_IP6GRE)},
#endif
#ifdef ARPHRD_IEEE80211
  {ROW(ARPHRD_IEEE80211)},
#endif
#ifdef ARPHRD_IEEE80211_PRISM
  {ROW(ARPHRD_IEEE80211_PRISM)},
#endif
#ifdef ARPHRD_IEEE80211_RADIOTAP
  {ROW(ARPHRD_IEEE80211_RADIOTAP)},
#endif
#ifdef ARPHRD_IEEE802154
  {ROW(ARPHRD_IEEE802154)},
#endif
#ifdef ARPHRD_NETLINK
  {ROW(ARPHRD_NETLINK)},
#endif
#ifdef ARPHRD_6LOWPAN
  {ROW(ARPHRD_6LOWPAN)},
#endif
#ifdef ARPHRD_VSOCKMON
  {ROW(ARPHRD_VSOCKMON)},
#endif
#ifdef ARPHRD_VOID
  {ROW(ARPHRD_VOID)},
#endif
#ifdef ARPHRD_NONE
  {ROW(ARPHRD_NONE)},
#endif
#ifdef ICMP_ECHOREPLY
  {ROW(ICMP_ECHOREPLY)},
#endif
#ifdef ICMP_DEST_UNREACH
  {ROW(ICMP_DEST_UNREACH)},
#endif
#ifdef ICMP_SOURCE_QUENCH
  {ROW(ICMP_SOURCE_QUENCH)},
#endif
#ifdef ICMP_REDIRECT
  {ROW(ICMP_REDIRECT)},
#endif
#ifdef ICMP_ECHO
  {ROW(ICMP_ECHO)},
#endif
#ifdef ICMP_TIME_EXCEEDED
  {ROW(ICMP_TIME_EXCEEDED)},
#endif
#ifdef ICMP_PARAMETERPROB
  {ROW(ICMP_PARAMETERPROB)},
#endif
#ifdef ICMP_TIMESTAMP
  {ROW(ICMP_TIMESTAMP)},
#endif
#ifdef ICMP_TIMESTAMPREPLY
  {ROW(ICMP_TIMESTAMPREPLY)},
#endif
#ifdef ICMP_NET_UNREACH
  {ROW(ICMP_NET_UNREACH)},
#endif
#ifdef ICMP_HOST_UNREACH
  {ROW(ICMP_HOST_UNREACH)},
#endif
#ifdef ICMP_PROT_UNREACH
  {ROW(ICMP_PROT_UNREACH)},
#endif
#ifdef ICMP_PORT_UNREACH
  {ROW(ICMP_PORT_UNREACH)},
#endif
#ifdef ICMP_FRAG_NEEDED
  {ROW(ICMP_FRAG_NEEDED)},
#endif
#ifdef ICMP_SR_FAILED
  {ROW(ICMP_SR_FAILED)},
#endif
#ifdef ICMP_NET_UNKNOWN
  {ROW(ICMP_NET_UNKNOWN)},
#endif
#ifdef ICMP_HOST_UNKNOWN
  {ROW(ICMP_HOST_UNKNOWN)},
#endif
#ifdef ICMP_NET_ANO
  {ROW(ICMP_NET_ANO)},
#endif
#ifdef ICMP_HOST_ANO
  {ROW(ICMP_HOST_ANO)},
#endif
#ifdef ICMP_PKT_FILTERED
  {ROW(ICMP_PKT_FILTERED)},
#endif
#ifdef ICMP_EXC_TTL
  {ROW(ICMP_EXC_TTL)},
#endif
#ifdef ICMP_EXC_FRAGTIME
  {ROW(ICMP_EXC_FRAGTIME)},
#endif
#ifdef ICMPV6_DEST_UNREACH
  {ROW(ICMPV6_DEST_UNREACH)},
#endif
#ifdef ICMPV6_PKT_TOOBIG
  {ROW(ICMPV6_PKT_TOOBIG)},
#endif
#ifdef ICMPV6_TIME_EXCEED
  {ROW(ICMPV6_TIME_EXCEED)},
#endif
#ifdef ICMPV6_PARAMPROB
  {ROW(ICMPV6_PARAMPROB)},
#endif
#ifdef ICMPV6_ECHO_REQUEST
  {ROW(ICMPV6_ECHO_REQUEST)},
#endif
#ifdef ICMPV6_ECHO_REPLY
  {ROW(ICMPV6_ECHO_REPLY)},
#endif
#ifdef ICMPV6_MGM_QUERY
  {ROW(ICMPV6_MGM_QUERY)},
#endif
#ifdef ICMPV6_MGM_REPORT
  {ROW(ICMPV6_MGM_REPORT)},
#endif
#ifdef ICMPV6_MGM_REDUCTION
  {ROW(ICMPV6_MGM_REDUCTION)},
#endif
#ifdef ICMPV6_MLD2_REPORT
  {ROW(ICMPV6_MLD2_REPORT)},
#endif
#ifdef ICMPV6_NOROUTE
  {ROW(ICMPV6_NOROUTE)},
#endif
#ifdef ICMPV6_ADM_PROHIBITED
  {ROW(ICMPV6_ADM_PROHIBITED)},
#endif
#ifdef ICMPV6_NOT_NEIGHBOUR
  {ROW(ICMPV6_NOT_NEIGHBOUR)},
#endif
#ifdef ICMPV6_ADDR_UNREACH
  {ROW(ICMPV6_ADDR_UNREACH)},
#endif
#ifdef ICMPV6_PORT_UNREACH
  {ROW(ICMPV6_PORT_UNREACH)},
#endif
#ifdef ICMPV6_POLICY_FAIL
  {ROW(ICMPV6_POLICY_FAIL)},
#endif
#ifdef ICMPV6_REJECT_ROUTE
  {ROW(ICMPV6_REJECT_ROUTE)},
#endif
#ifdef ICMPV6_EXC_HOPLIMIT
  {ROW(ICMPV6_EXC_HOPLIMIT)},
#endif
#ifdef ICMPV6_EXC_FRAGTIME
  {ROW(ICMPV6_EXC_FRAGTIME)},
#endif
#ifdef __linux__ /* enumerators, for which no #ifdef can ask */
  {ROW(TPACKET_V1)},
  {ROW(TPACKET_V2)},
  {ROW(TPACKET_V3)},
  {ROW(SOF_TIMESTAMPING_TX_HARDWARE)},
  {ROW(SOF_TIMESTAMPING_TX_SOFTWARE)},
  {ROW(SOF_TIMESTAMPING_RX_HARDWARE)},
  {ROW(SOF_TIMESTAMPING_RX_SOFTWARE)},
  {ROW(SOF_TIMESTAMPING_SOFTWARE)},
  {ROW(SOF_TIMESTAMPING_SYS_HARDWARE)},
  {ROW(SOF_TIMESTAMPING_RAW_HARDWARE)},
  {ROW(SOF_TIMESTAMPING_OPT_ID)},
  {ROW(SOF_TIMESTAMPING_TX_SCHED)},
  {ROW(SOF_TIMESTAMPING_TX_ACK)},
  {ROW(SOF_TIMESTAMPING_OPT_CMSG)},
  {ROW(SOF_TIMESTAMPING_OPT_TSONLY)},
  {ROW(SOF_TIMESTAMPING_OPT_STATS)},
  {ROW(SOF_TIMESTAMPING_OPT_PKTINFO)},
  {ROW(SOF_TIMESTAMPING_OPT_TX_SWHW)},
  {ROW(SOF_TXTIME_DEADLINE_MODE)},
  {ROW(SOF_TXTIME_REPORT_ERRORS)},
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
