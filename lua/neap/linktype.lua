--- What a captured packet begins with: the names of link types, and their
-- numbers in capture files (LINKTYPE_ in libpcap's registry).
local NUMBER <const> = {
  null = 0, ethernet = 1, ppp = 9, raw = 101, ieee802_11 = 105, loop = 108,
  linux_sll = 113, radiotap = 127, user0 = 147, ipv4 = 228, ipv6 = 229,
  netlink = 253, linux_sll2 = 276,
}

local NAME <const> = {}
for name, number in pairs(NUMBER) do NAME[number] = name end

-- Other words for the same.
NUMBER.cooked, NUMBER.sll, NUMBER.sll2 = 113, 113, 276

return { NUMBER = NUMBER, NAME = NAME }
