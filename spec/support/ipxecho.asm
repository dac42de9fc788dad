; For DOS: says "ready" to everybody on socket 5000h, then sends back whatever
; comes there, until that begins with "quit". Takes up to 1393 bytes, which is
; as long a packet as DOSBox takes.
;   nasm -f bin -o ipxecho.com ipxecho.asm
        cpu     8086
        org     100h

SOCKET  equ     0050h           ; 5000h, the high byte first
HEADER  equ     30
ROOM    equ     1393

; What INT 7Ah does, by BX.
OPEN    equ     0
SEND    equ     3
LISTEN  equ     4
RELENT  equ     0ah             ; give the driver time

start:  mov     [ecb_seg], cs
        mov     bx, OPEN
        mov     al, 0ffh        ; until it is closed
        mov     dx, SOCKET
        int     7ah
        or      al, al
        jnz     done
        mov     word [ecb_len], HEADER + 5
        mov     bx, SEND
        call    driver

again:  mov     word [ecb_len], HEADER + ROOM
        mov     bx, LISTEN
        call    driver
        cmp     byte [ecb_code], 0
        jne     again

; As long as the header says, back to where it is from.
        mov     ax, [packet + 2]
        xchg    al, ah
        mov     [ecb_len], ax
        push    cs
        pop     es
        cld
        mov     si, packet + 18
        mov     di, packet + 6
        mov     cx, 6
        rep     movsw
        mov     si, packet + 22
        mov     di, ecb_node
        mov     cx, 3
        rep     movsw
        mov     bx, SEND
        call    driver
        cmp     word [data], 'qu'
        jne     again
        cmp     word [data + 2], 'it'
        jne     again
done:   mov     ax, 4c00h
        int     21h

; Has the driver do what BX says with our control block, and waits.
driver: push    cs
        pop     es
        mov     si, ecb
        int     7ah
.wait:  mov     bx, RELENT
        int     7ah
        cmp     byte [ecb_busy], 0
        jne     .wait
        ret

; The event control block.
ecb:    dd      0               ; link
        dd      0               ; no routine is called
ecb_busy: db    0
ecb_code: db    0
        dw      SOCKET
        times   16 db 0         ; the driver's
ecb_node: times 6 db 0ffh       ; whom it is given to
        dw      1               ; one fragment:
        dw      packet
ecb_seg: dw     0
ecb_len: dw     0

packet: dw      0ffffh, 0
        db      0, 4
        dd      0               ; to: network,
        times   6 db 0ffh       ; node,
        dw      SOCKET          ; socket
        times   12 db 0         ; from: the driver's to fill in
data:   db      "ready"
        times   ROOM - 5 db 0
